// Fills 16 MiB of the heap with small blocks and frees all of them but one of 16 bytes in their middle: whatever draws the
// heap must still show it.
// build: gcc -O0 -g -rdynamic
#include <stdlib.h>

#define COUNT (1 << 16)
// With their headers 256 bytes.
#define BYTES 240

int main(void) {
    static void *blocks[COUNT];
    for (int k = 0; k < COUNT; k++)
        blocks[k] = malloc(k == COUNT / 2 ? 16 : BYTES);
    for (int k = 0; k < COUNT; k++)
        if (k != COUNT / 2)
            free(blocks[k]);
}
