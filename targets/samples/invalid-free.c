// Frees the inside of a block: glibc aborts.
// build: gcc -O0 -g -Wno-free-nonheap-object
#include <stdlib.h>

int main(void) {
    char *block = malloc(64);
    char *inside = block + 8;
    __asm__ volatile("" : "+r"(inside));
    free(inside);
    free(block);
    return 0;
}
