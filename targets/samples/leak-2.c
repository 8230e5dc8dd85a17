// Three blocks of 12, 13 and 25 bytes; the last is never freed.
// build: gcc -O0 -g
#include <stdlib.h>
#include <string.h>

int main(void) {
    char *first = malloc(12), *second = malloc(13), *both = malloc(25);
    strcpy(first, "hello, ");
    strcpy(second, "world");
    strcpy(both, first);
    strcat(both, second);
    free(first);
    free(second);
    return 0;
}
