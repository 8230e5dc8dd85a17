// A write through NULL with two blocks live.
// build: gcc -O0 -g
#include <stdlib.h>

int main(void) {
    char *first = malloc(16), *second = malloc(32);
    volatile char *nowhere = NULL;
    *nowhere = 'x';
    free(first);
    free(second);
    return 0;
}
