// Blocks that are still there at the end, of each class, in C. The good twins free them.
// build: gcc -O1 -g -w -fno-builtin -pthread
#define _GNU_SOURCE
#include "case.h"
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>

// What may hold a pointer; not static, lest the compiler drop what nobody reads.
char *in_data = "";
char *in_bss, *interior;
void *deeper;
char packed[16];
uintptr_t masked;
__thread char *of_thread;

// Definitely lost.

CASE(forgotten) {
    char *p = malloc(100);
    if (!bad)
        free(p);
}

CASE(overwritten) {
    static char *volatile kept;
    kept = malloc(100);
    if (!bad)
        free(kept);
    kept = malloc(200);
    free(kept);
    kept = 0;
}

CASE(in_a_loop) {
    for (int i = 0; i < 100; i++) {
        char *p = malloc(50);
        p[0] = i;
        if (!bad)
            free(p);
    }
}

static int NOINLINE work(bool fails, bool bad) {
    char *buffer = malloc(1000);
    if (fails && bad)
        return -1;
    free(buffer);
    return 0;
}

CASE(early_return) {
    sink = work(false, bad);
    sink = work(true, bad);
}

CASE(copy_of_text) {
    char *p = strdup("nobody frees a copy of this text");
    sink = p[3];
    if (!bad)
        free(p);
}

CASE(zeroed) {
    long *p = calloc(20, sizeof *p);
    sink = p[3];
    if (!bad)
        free(p);
}

CASE(aligned) {
    void *p = 0;
    sink = posix_memalign(&p, 64, 640);
    if (!bad)
        free(p);
}

CASE(of_own_mapping) {
    char *p = malloc(1 << 20);
    p[0] = 1;
    if (!bad)
        free(p);
}

// The only pointer lies in a block that was freed.
CASE(known_to_freed_only) {
    char **owner = malloc(10 * sizeof *owner);
    owner[5] = malloc(100);
    if (!bad)
        free(owner[5]);
    free(owner);
}

// The only pointer lies in the block itself.
CASE(known_to_itself_only) {
    void **p = malloc(100);
    p[3] = p;
    if (!bad)
        free(p);
}

// Pointers that no scan can know: hidden by a mask, and not aligned.
CASE(masked_pointer) {
    char *p = malloc(100);
    masked = (uintptr_t)p ^ 0x5555555555555555;
    if (!bad)
        free(p);
}

CASE(unaligned_pointer) {
    char *p = malloc(100);
    memcpy(packed + 3, &p, sizeof p);
    if (!bad)
        free(p);
}

static void *take_and_end(void *bad) {
    char *p = malloc(100);
    p[0] = 1;
    if (!bad)
        free(p);
    return 0;
}

CASE(of_thread_that_ended) { in_thread(take_and_end, bad ? "bad" : 0); }

static void *take_into_tls(void *bad) {
    of_thread = malloc(100);
    if (!bad)
        free(of_thread);
    return 0;
}

CASE(tls_of_thread_that_ended) { in_thread(take_into_tls, bad ? "bad" : 0); }

static void *take_and_return(void *none) { return malloc(100); }

// What a thread returned, taken by nobody.
CASE(result_of_thread) {
    pthread_t thread;
    void *result;
    if (pthread_create(&thread, 0, take_and_return, 0) != 0)
        return;
    pthread_join(thread, bad ? 0 : &result);
    if (!bad)
        free(result);
}

CASE(of_unmapped_page) {
    char **map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    map[7] = malloc(100);
    if (!bad)
        free(map[7]);
    munmap(map, 4096);
}

// Lost with what they lead to: indirectly lost.

struct node {
    struct node *left, *right;
    char *name;
} *chain;

static struct node *NOINLINE node(struct node *left, struct node *right) {
    struct node *it = calloc(1, sizeof *it);
    it->left = left, it->right = right;
    return it;
}

static void free_tree(struct node *tree) {
    if (!tree)
        return;
    free_tree(tree->left);
    free_tree(tree->right);
    free(tree->name);
    free(tree);
}

CASE(list) {
    struct node *list = node(0, node(0, node(0, node(0, 0))));
    if (!bad)
        free_tree(list);
}

CASE(tree) {
    struct node *tree = node(node(node(0, 0), node(0, 0)), node(node(0, 0), node(0, 0)));
    if (!bad)
        free_tree(tree);
}

CASE(cycle) {
    struct node *a = node(0, 0), *b = node(a, 0);
    a->left = b;
    if (!bad) {
        free(a);
        free(b);
    }
}

// The struct goes, its text stays.
CASE(member) {
    struct node *it = node(0, 0);
    it->name = strdup("the name of a node");
    if (!bad)
        free(it->name);
    free(it);
}

CASE(struct_and_member) {
    struct node *it = node(0, 0);
    it->name = strdup("the name of a node");
    if (!bad)
        free_tree(it);
}

CASE(rows) {
    char **row = malloc(8 * sizeof *row);
    for (int i = 0; i < 8; i++)
        row[i] = malloc(40);
    if (bad)
        return;
    for (int i = 0; i < 8; i++)
        free(row[i]);
    free(row);
}

// Known by a pointer to their middle only: possibly lost.

CASE(middle_in_global) {
    char *p = malloc(100);
    interior = p + 40;
    if (!bad)
        free(p);
}

CASE(middle_and_what_it_leads_to) {
    struct node *p = node(node(0, 0), 0);
    interior = (char *)&p->name;
    if (!bad)
        free_tree(p);
}

// One past the end is not in the block.
CASE(end_in_global) {
    char *p = malloc(96);
    interior = p + 96;
    if (!bad)
        free(p);
}

// As sqlite keeps them: the length before what everybody points to.
CASE(behind_its_length) {
    uint64_t *p = malloc(8 + 100);
    p[0] = 100;
    deeper = p + 1;
    if (!bad)
        free(p);
}

// Reachable, by each kind of root.

CASE(reachable_from_data) {
    in_data = malloc(100);
    if (!bad)
        free(in_data);
}

CASE(reachable_from_bss) {
    in_bss = malloc(100);
    if (!bad)
        free(in_bss);
}

CASE(reachable_from_static_local) {
    static char *volatile here;
    here = malloc(100);
    if (!bad)
        free(here);
}

CASE(reachable_over_blocks) {
    chain = node(node(node(0, 0), 0), 0);
    if (!bad)
        free_tree(chain);
}

CASE(reachable_from_tls) {
    of_thread = malloc(100);
    if (!bad)
        free(of_thread);
}

// exit from the depth of main: its frames live on.
CASE(reachable_from_stack) {
    char *volatile here = malloc(100);
    if (bad)
        exit(0);
    free(here);
}

CASE(reachable_from_stack_array) {
    char *volatile here[32];
    for (int i = 0; i < 32; i++)
        here[i] = malloc(10);
    if (bad)
        exit(0);
    for (int i = 0; i < 32; i++)
        free(here[i]);
}

static pthread_barrier_t both;

static void *hold_on_stack(void *bad) {
    char *volatile here = malloc(100);
    if (!bad) {
        free(here);
        here = 0;
    }
    pthread_barrier_wait(&both);
    if (bad)
        pause();
    return here;
}

CASE(reachable_from_stack_of_thread) {
    pthread_t thread;
    pthread_barrier_init(&both, 0, 2);
    if (pthread_create(&thread, 0, hold_on_stack, bad ? "bad" : 0) != 0)
        return;
    pthread_barrier_wait(&both);
    if (!bad)
        pthread_join(thread, 0);
}

static void *hold_in_tls(void *bad) {
    of_thread = malloc(100);
    if (!bad)
        free(of_thread);
    pthread_barrier_wait(&both);
    if (bad)
        pause();
    return 0;
}

CASE(reachable_from_tls_of_thread) {
    pthread_t thread;
    pthread_barrier_init(&both, 0, 2);
    if (pthread_create(&thread, 0, hold_in_tls, bad ? "bad" : 0) != 0)
        return;
    pthread_barrier_wait(&both);
    if (!bad)
        pthread_join(thread, 0);
}

CASE(reachable_from_thread_specific) {
    pthread_key_t key;
    pthread_key_create(&key, 0);
    pthread_setspecific(key, malloc(100));
    if (!bad)
        free(pthread_getspecific(key));
}

// A key beyond those that have room in the thread's own descriptor.
CASE(reachable_from_high_key) {
    pthread_key_t key;
    for (int i = 0; i < 100; i++)
        pthread_key_create(&key, 0);
    pthread_setspecific(key, malloc(100));
    if (!bad)
        free(pthread_getspecific(key));
}

CASE(reachable_from_mapping) {
    char **map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    map[600] = malloc(100);
    if (!bad)
        free(map[600]);
}

CASE(reachable_from_libc) {
    setenv("HELD_BY_THE_ENVIRONMENT", "a value of some length", 1);
    if (!bad)
        unsetenv("HELD_BY_THE_ENVIRONMENT");
}

CASE(reachable_from_open_file) {
    FILE *file = fopen("/dev/null", "w");
    fputs("x", file);
    if (!bad)
        fclose(file);
}

// No handler runs at this end.
CASE(reachable_at_immediate_exit) {
    in_bss = malloc(100);
    if (bad)
        _exit(0);
    free(in_bss);
}

CASE(lost_at_immediate_exit) {
    char *p = malloc(100);
    p[0] = 1;
    if (!bad)
        free(p);
    p = 0;
    wipe_below();
    _exit(0);
}

// A child that goes its own way loses what it took itself.
CASE(in_child) {
    pid_t child = fork();
    if (child == 0) {
        char *p = malloc(100);
        p[0] = 1;
        if (!bad)
            free(p);
        return;
    }
    waitpid(child, 0, 0);
}
