// Objects that are still there at the end, in C++. The good twins delete them.
// build: g++ -std=c++17 -O1 -g -w -fno-builtin -fno-allocation-dce -pthread
#include "case.h"
#include <list>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Point {
    long x = 1, y = 2;
};

// Definitely lost.

CASE(object) {
    auto p = new Point;
    sink = p->x;
    if (!bad)
        delete p;
}

CASE(array) {
    auto p = new long[40];
    p[0] = 1;
    if (!bad)
        delete[] p;
}

CASE(released) {
    auto owner = std::make_unique<Point>();
    Point *p = owner.release();
    sink = p->y;
    if (!bad)
        delete p;
}

CASE(vector_of_pointers) {
    std::vector<Point *> points;
    for (int i = 0; i < 10; i++)
        points.push_back(new Point);
    if (!bad)
        for (auto p : points)
            delete p;
}

static void NOINLINE parse(bool bad) {
    auto raw = new char[200];
    std::unique_ptr<char[]> owner(bad ? nullptr : raw);
    throw std::runtime_error("not a number");
}

CASE(exception) {
    try {
        parse(bad);
    } catch (const std::exception &) {
    }
}

struct Base {
    virtual long area() const { return 0; }
    long a = 1;
};
struct SafeBase {
    virtual ~SafeBase() = default;
    long a = 1;
};
template <class B> struct Named : B {
    std::unique_ptr<char[]> name{new char[100]};
};
using Unsafe = Named<Base>;
using Safe = Named<SafeBase>;

// Without a virtual destructor the members of the derived class stay.
CASE(no_virtual_destructor) {
    if (bad) {
        Base *p = new Unsafe;
        p->~Base();
        operator delete(p);
    } else {
        SafeBase *p = new Safe;
        delete p;
    }
}

CASE(container) {
    auto p = new std::vector<long>(100);
    if (!bad)
        delete p;
}

struct Peer {
    std::shared_ptr<Peer> other;
    long number = 1;
};

CASE(shared_cycle) {
    auto a = std::make_shared<Peer>(), b = std::make_shared<Peer>();
    a->other = b;
    if (bad)
        b->other = a;
}

struct Tree {
    std::list<Tree> children;
    std::string name = std::string(40, 'n');
};

CASE(tree_of_lists) {
    auto root = new Tree;
    root->children.emplace_back();
    root->children.back().children.emplace_back();
    if (!bad)
        delete root;
}

CASE(in_thread_of_its_own) {
    std::thread([bad] {
        auto p = new Point;
        sink = p->x;
        if (!bad)
            delete p;
    }).join();
}

// Reachable; not static, lest the compiler drop what nobody reads.

Point *kept;
std::vector<long> *kept_vector;
std::map<int, std::string> ages;
thread_local std::unique_ptr<Point> of_thread;

CASE(singleton) {
    kept = new Point;
    if (!bad)
        delete kept;
}

CASE(container_in_global) {
    kept_vector = new std::vector<long>(100);
    if (!bad)
        delete kept_vector;
}

// Its destructor runs at exit: nothing is left, unless the exit is immediate.
CASE(global_map) {
    ages[1] = std::string(40, 'x');
    ages[2] = std::string(50, 'y');
    if (bad)
        _exit(0);
}

CASE(thread_local_owner) {
    of_thread = std::make_unique<Point>();
    if (bad)
        _exit(0);
}

struct Left {
    virtual ~Left() = default;
    long a = 1;
};
struct Right {
    virtual ~Right() = default;
    long b = 2;
};
struct Both : Left, Right {
    long c = 3;
};

Right *right;

// Known by a pointer to its second base only.
CASE(second_base) {
    right = new Both;
    if (!bad)
        delete right;
}

struct Counted {
    ~Counted() { sink = value; }
    long value = 1;
};

Counted *counted;

// The pointer leads behind the count of the elements.
CASE(array_with_count) {
    counted = new Counted[8];
    if (!bad)
        delete[] counted;
}

std::string *text;

CASE(string_in_global) {
    text = new std::string(100, 'x');
    if (!bad)
        delete text;
}

std::shared_ptr<Peer> *shared;

CASE(shared_in_global) {
    shared = new std::shared_ptr<Peer>(std::make_shared<Peer>());
    if (!bad)
        delete shared;
}
