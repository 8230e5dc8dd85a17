// One block of 10 bytes is never freed.
// build: gcc -O0 -g
#include <stdlib.h>
#include <string.h>

int main(void) {
    char *block = malloc(10);
    strcpy(block, "leaked");
    return 0;
}
