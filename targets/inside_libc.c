// Danger: memory that libc allocates on the program's behalf: strdup, asprintf, getline, fopen, qsort.
// Only strdup's sizes are the program's to know; the rest must merely balance.
// build: gcc -O2 -g
#define _GNU_SOURCE
#include "ledger.h"
#include <stdio.h>
#include <wchar.h>

static int by_value(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(void) {
    static char text[4099], longer[8000];
    memset(text, 'x', sizeof text - 1);
    memset(longer, 'y', sizeof longer - 1);
    char *copy = (char *)took(MALLOC, 4099, strdup(text));
    give(4099, copy);
    took(MALLOC, 2003, strndup(text, 2002));

    char *printed = NULL, *line = NULL;
    size_t room = 0;
    if (asprintf(&printed, "%s and %s", text, longer) != 4098 + 5 + 7999)
        return 1;
    FILE *file = fmemopen(printed, strlen(printed), "r");
    if (getline(&line, &room, file) < 0)
        return 2;
    fclose(file);
    free(line), free(printed);

    file = fopen("/proc/self/maps", "r");
    char *path = realpath("/proc/self/exe", NULL);
    char *here = getcwd(NULL, 0);
    fclose(file), free(path), free(here);

    char *grown = NULL;
    file = open_memstream(&grown, &room);
    for (int i = 0; i < 10000; i++)
        fprintf(file, "%d ", i);
    fclose(file), free(grown);

    static int numbers[100000];
    for (int i = 0; i < 100000; i++)
        numbers[i] = (i * 7919) % 100003;
    qsort(numbers, 100000, sizeof numbers[0], by_value);
    printf("%d %d\n", numbers[0], numbers[99999]);
    ledger_write();
    return 0;
}
