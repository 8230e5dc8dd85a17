// Ends by a signal, in C++.
// build: g++ -std=c++17 -O1 -g -w -fno-builtin -fno-allocation-dce -pthread
#include "case.h"
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

CASE(uncaught) {
    if (bad)
        throw std::runtime_error("nobody waits for me");
}

CASE(uncaught_at) {
    std::vector<long> numbers(4);
    sink = numbers.at(bad ? 4 : 3);
}

static void NOINLINE promises(bool bad) noexcept {
    if (bad)
        throw 1;
}

CASE(thrown_by_noexcept) { promises(bad); }

CASE(thrown_in_thread) {
    std::thread([bad] {
        if (bad)
            throw std::logic_error("in a thread");
    }).join();
}

CASE(thread_not_joined) {
    std::thread thread([] {});
    if (!bad)
        thread.join();
}

CASE(empty_function) {
    std::function<long()> function;
    if (!bad)
        function = [] { return 1L; };
    sink = function();
}

struct Shape {
    Shape() { announce(); }
    virtual ~Shape() = default;
    void NOINLINE announce() { sink = area(); }
    virtual long area() const = 0;
};
struct Square : Shape {
    long area() const override { return 4; }
};

CASE(pure_virtual) {
    if (bad)
        Square();
}

struct Node {
    virtual ~Node() = default;
    virtual long value() const { return 1; }
    std::unique_ptr<Node> next;
    long number = 2;
};

static long NOINLINE value(const Node *node) { return node->value(); }

CASE(null_object) {
    Node last;
    sink = value(bad ? last.next.get() : &last);
}

CASE(null_owner) {
    auto node = std::make_unique<Node>();
    node->next = bad ? nullptr : std::make_unique<Node>();
    sink = node->next->number;
}

struct Chain {
    std::unique_ptr<Chain> next;
};

// Each destructor calls the next one's: a list of a million is too deep.
CASE(destructors_too_deep) {
    std::unique_ptr<Chain> list;
    for (int i = 0; i < 1000000; i++) {
        auto longer = std::make_unique<Chain>();
        longer->next = std::move(list);
        list = std::move(longer);
    }
    while (!bad && list)
        list = std::move(list->next);
}
