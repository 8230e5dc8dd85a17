// Danger: snapshots of a program whose threads allocate and free all the time. Every block of 333 bytes holds its
// own address in its first word from right after it was made until it is freed. Each thread does the same
// rounds again and again until there is a file `go`.
// build: g++ -O2 -g -pthread
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <thread>
#include <unistd.h>
#include <vector>

static std::atomic<bool> go{false};

static unsigned long round_of(unsigned seed) {
    std::vector<void **> held(256);
    unsigned long sum = 0;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        void **&slot = held[seed >> 24];
        if (slot) {
            sum += *slot == slot;
            free(slot);
            slot = nullptr;
        } else {
            slot = static_cast<void **>(malloc(333));
            *slot = slot;
        }
    }
    for (void **slot : held)
        free(slot);
    return sum;
}

int main() {
    std::vector<std::thread> threads;
    std::vector<unsigned long> sums(4);
    for (unsigned i = 0; i < sums.size(); i++)
        threads.emplace_back([&, i] {
            do
                sums[i] = round_of(i);
            while (!go);
        });
    close(open("ready", O_WRONLY | O_CREAT, 0600));
    while (access("go", F_OK) != 0)
        usleep(1000);
    go = true;
    for (auto &thread : threads)
        thread.join();
    for (unsigned long sum : sums)
        printf("%lu\n", sum);
}
