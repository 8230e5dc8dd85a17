// Takes a block, grows it, frees it: nothing remains. Ends with free(NULL), which is no error.
// build: gcc -O0 -g
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    int *numbers = malloc(10 * sizeof *numbers);
    numbers = realloc(numbers, 20 * sizeof *numbers);
    for (int i = 0; i < 20; i++)
        numbers[i] = i;
    printf("%d\n", numbers[19]);
    free(numbers);
    free(NULL);
    return 0;
}
