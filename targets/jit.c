// Danger: machine code made at run time, without unwind tables or a known module, calls malloc. With
// `named` it has names, in /tmp/perf-PID.map, which stays behind.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <stdio.h>
#include <sys/mman.h>

typedef void *call(void *(*function)(size_t), size_t size);

// With a frame pointer:    push rbp; mov rbp,rsp; mov rax,rdi; mov rdi,rsi; call rax; pop rbp; ret
static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8,
                                       0x48, 0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3};
// Without, rbp a lie:      push rbp; xor ebp,ebp; mov rax,rdi; mov rdi,rsi; call rax; pop rbp; ret
static const unsigned char frameless[] = {0x55, 0x31, 0xed, 0x48, 0x89, 0xf8, 0x48,
                                          0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3};

static int write_names(unsigned char *code) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "w");
    if (map == NULL)
        return 0;
    fprintf(map, "%lx %zx framed <script>\n", (long)code, sizeof framed);
    fprintf(map, "%lx %zx frameless\n", (long)code + 64, sizeof frameless);
    return fclose(map) == 0;
}

int main(int count, char **words) {
    unsigned char *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        return 77;
    memcpy(code, framed, sizeof framed);
    memcpy(code + 64, frameless, sizeof frameless);
    for (int i = 0; i < 1000; i++) {
        void *p = took(MALLOC, 4099, ((call *)code)(malloc, 4099));
        void *q = took(MALLOC, 10007, ((call *)(code + 64))(malloc, 10007));
        give(4099, p);
        give(10007, q);
    }
    if (count > 1 && strcmp(words[1], "named") == 0 && !write_names(code))
        return 77;
    munmap(code, 4096);
    ledger_write();
    return 0;
}
