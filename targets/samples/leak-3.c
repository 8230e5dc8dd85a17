// A list of ten nodes of 16 bytes whose head is overwritten: none is reachable any more.
// build: gcc -O0 -g
#include <stdlib.h>

struct node {
    struct node *next;
    long value;
};

static struct node *list;

int main(void) {
    for (long i = 0; i < 10; i++) {
        struct node *node = malloc(sizeof *node);
        node->next = list;
        node->value = i;
        list = node;
    }
    list = NULL;
    return 0;
}
