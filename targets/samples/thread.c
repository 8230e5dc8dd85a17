// A hundred threads of one 17-byte block each, taken and freed.
// build: gcc -O0 -g -pthread
#include <pthread.h>
#include <stdlib.h>

static void *body(void *unused) {
    (void)unused;
    char *block = malloc(17);
    block[0] = 'x';
    free(block);
    return NULL;
}

int main(void) {
    pthread_t threads[100];
    for (int i = 0; i < 100; i++)
        pthread_create(&threads[i], NULL, body, NULL);
    for (int i = 0; i < 100; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
