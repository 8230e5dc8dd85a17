// Buffers that grow by realloc, 64 side by side, from 16 bytes to 64 KiB. Argument: rounds.
// build: gcc -O2 -g
#include <stdio.h>
#include <stdlib.h>

enum { BUFFERS = 64, LARGEST = 65536 };

__attribute__((noinline)) static char *grow(char *buffer, size_t size) {
    buffer = realloc(buffer, size);
    buffer[size - 1] = 1;
    __asm__ volatile("" ::: "memory");
    return buffer;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 500;
    static char *buffers[BUFFERS];
    size_t total = 0;
    for (int round = 0; round < rounds; round++) {
        for (size_t size = 16; size <= LARGEST; size += size / 4 + 8)
            for (int i = 0; i < BUFFERS; i++) total += size, buffers[i] = grow(buffers[i], size + i);
        for (int i = 0; i < BUFFERS; i++) free(buffers[i]), buffers[i] = NULL;
    }
    printf("%zu\n", total);
}
