// Danger: what C++ makes of blocks: containers, strings, arrays, aligned forms, in threads, a forked and an executed
// child; all of it right.
// build: g++ -O1 -g -pthread
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>
struct alignas(64) Wide { char bytes[64]; };
struct Base { virtual ~Base() {} int a = 1; };
struct Derived : Base { std::string name = "a name that is longer than the small buffer"; };
static unsigned work(unsigned seed) {
    std::vector<std::string> names;
    std::map<std::string, std::unique_ptr<Base>> by_name;
    std::deque<int> numbers;
    for (unsigned i = 0; i < 500; i++) {
        seed = seed * 1103515245 + 12345;
        names.push_back(std::string(seed % 100, 'x') + std::to_string(seed));
        by_name[names.back()] = std::make_unique<Derived>();
        numbers.push_front(int(seed & 0xff));
        if (numbers.size() > 50) numbers.pop_back();
    }
    std::sort(names.begin(), names.end());
    auto wide = std::make_unique<Wide[]>(3);
    auto bases = new Derived[4];
    auto bytes = new char[seed % 1000 + 1];
    memset(bytes, 1, seed % 1000 + 1);
    unsigned sum = unsigned(numbers.front()) + (reinterpret_cast<size_t>(wide.get()) % 64 == 0);
    for (auto &name : names) for (char c : name) sum = sum * 31 + unsigned(c);
    delete[] bytes;
    delete[] bases;
    return sum;
}
int main(int argc, char **argv) {
    if (argc > 1) { printf("%s %u\n", argv[1], work(9)); return 0; }
    unsigned sums[4];
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; i++) threads.emplace_back([&sums, i] { sums[i] = work(i); });
    for (auto &thread : threads) thread.join();
    for (unsigned sum : sums) printf("%u\n", sum);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (!child && i) execl(argv[0], argv[0], "child", nullptr);
        if (!child) { printf("%u\n", work(7)); fflush(stdout); _exit(0); }
        waitpid(child, nullptr, 0);
    }
    return 0;
}
