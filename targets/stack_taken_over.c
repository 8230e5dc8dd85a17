// Danger: a thread ends and its stack is unmapped; the next has a smaller stack in the same place, and
// code without unwind tables whose frame pointer points to where the first one's was.
// build: gcc -O2 -g -pthread
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static char *const first_stack = (char *)0x200000000000;
enum { FIRST_SIZE = 1 << 20, SECOND_SIZE = 256 << 10, SECOND_AT = 448 << 10 };

// Calls malloc(4099) with this frame pointer.
void *malloc_with_frame_pointer(void *frame_pointer);
__asm__(".text\n"
        ".globl malloc_with_frame_pointer\n"
        "malloc_with_frame_pointer:\n"
        "    push %rbp\n"
        "    mov %rdi, %rbp\n"
        "    mov $4099, %edi\n"
        "    call malloc@plt\n"
        "    pop %rbp\n"
        "    ret\n");

static pid_t tid;

__attribute__((noinline)) static void descend(int depth) {
    volatile char frame[3000];
    frame[0] = (char)depth;
    if (depth > 0)
        descend(depth - 1);
    else
        give(1013, took(MALLOC, 1013, malloc(1013)));
    frame[1] = frame[0]; // no tail call
}

static void *deep(void *unused) {
    tid = gettid();
    descend(200);
    return unused;
}

static void *with_old_pointer(void *unused) {
    tid = gettid();
    give(1013, took(MALLOC, 1013, malloc(1013)));
    give(4099, took(MALLOC, 4099, malloc_with_frame_pointer(first_stack + (900 << 10))));
    return unused;
}

// Runs a thread on this stack until the kernel has forgotten it.
static void run(char *stack, size_t size, void *(*body)(void *)) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, size);
    if (pthread_create(&thread, &attributes, body, NULL) != 0)
        _exit(1);
    pthread_join(thread, NULL);
    while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
        usleep(100);
}

static void map(char *at, size_t size) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap(at, size, PROT_READ | PROT_WRITE, flags, -1, 0) != at)
        _exit(2);
}

int main(void) {
    map(first_stack, FIRST_SIZE);
    run(first_stack, FIRST_SIZE, deep);
    munmap(first_stack, FIRST_SIZE);
    map(first_stack + SECOND_AT, SECOND_SIZE);
    for (int i = 0; i < 8; i++)
        run(first_stack + SECOND_AT, SECOND_SIZE, with_old_pointer);
    ledger_write();
    return 0;
}
