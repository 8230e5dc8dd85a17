// A 10-byte block, a write far beyond it, at offset 0xffffff, then the free that is never reached.
// build: gcc -O0 -g
#include <stdlib.h>

int main(void) {
    char *block = malloc(10);
    block[0xffffff] = 'x';
    free(block);
    return 0;
}
