// Leaves two blocks of known bytes: one of 1,000 bytes that begins with a pointer to the other and then counts up, and
// one of 200 pages in a mapping of its own, which begins with a text and of whose mapping the third page is gone.
// build: gcc -O0 -g -rdynamic
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096

int main(void) {
    char *letter = malloc(200 * PAGE);
    unsigned char *envelope = malloc(1000);
    strcpy(letter, "To whom it may concern: \"<b>&amp;\" 0x00 \x01\x7f\xff");
    memcpy(envelope, &letter, sizeof letter);
    for (int k = sizeof letter; k < 1000; k++)
        envelope[k] = (unsigned char)k;
    munmap(letter - 16 + 2 * PAGE, PAGE);
}
