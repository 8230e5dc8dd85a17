// Functions, a thread and arguments whose names are markup, scripts, quotes, control characters and writing from right to
// left: whatever shows them must show them, and nothing more. Built from a file whose path is of the same kind.
// build: gcc -O0 -g -rdynamic
#include <stdlib.h>
#include <sys/prctl.h>

// A function of this name that returns malloc of so many bytes.
#define HOSTILE(name, bytes)                                                                                          \
    ".text\n.type \"" name "\", @function\n\"" name "\":\n.cfi_startproc\n"                                           \
    "sub $8, %rsp\n.cfi_adjust_cfa_offset 8\nmov $" #bytes ", %edi\ncall malloc@PLT\n"                                \
    "add $8, %rsp\n.cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\n.size \"" name "\", . - \"" name "\"\n"              \
    ".section .data.rel.local,\"aw\"\n.quad \"" name "\"\n"

__asm__(".section .data.rel.local,\"aw\"\n.balign 8\nhostile_functions:\n"
        HOSTILE("<img src=x onerror=window.__broken=1>", 1000)
        HOSTILE("</script><script>window.__broken=2</script>", 2000)
        HOSTILE("<!--<script>", 3000)
        HOSTILE("&lt;b&gt;&amp;", 4000)
        HOSTILE("'; window.__broken=3; //", 5000)
        HOSTILE("\xe2\x80\xae" "desrever\xe2\x80\xac", 6000)
        HOSTILE("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", 7000)
        HOSTILE("bell\007escape\033[31mred", 8000)
        HOSTILE("not utf-8 \xff\xfe", 9000)
        HOSTILE("__proto__", 10000)
        HOSTILE("constructor", 11000)
        ".quad 0\n.text\n");

extern void *(*hostile_functions[])(void);

int main(void) {
    prctl(PR_SET_NAME, "<b>thread</b>");
    for (int k = 0; hostile_functions[k]; k++) {
        void *volatile kept = hostile_functions[k]();
        void *volatile freed = hostile_functions[k]();
        free(freed);
        (void)kept;
    }
}
