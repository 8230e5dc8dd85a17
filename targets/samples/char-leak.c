// A C string in a block of exactly strlen bytes, without room for its zero, never freed.
// build: gcc -O0 -g
#include <stdlib.h>
#include <string.h>

int main(void) {
    const char *text = "a string without its zero";
    char *block = malloc(strlen(text));
    memcpy(block, text, strlen(text));
    return 0;
}
