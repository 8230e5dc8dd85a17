// delete of what new never gave, in C++.
// build: g++ -std=c++17 -O1 -g -w -fno-builtin -fno-allocation-dce -pthread
#include "case.h"
#include <memory>
#include <new>
#include <string>
#include <vector>

struct Point {
    long x = 1, y = 2;
};

CASE(stack_object) {
    Point here;
    auto p = new Point;
    delete (bad ? &here : p);
    sink = here.x;
}

static Point in_data;

CASE(static_object) {
    auto p = new Point;
    delete (bad ? &in_data : p);
}

CASE(stack_array) {
    char here[40];
    auto p = new char[40];
    here[0] = 1;
    delete[] (bad ? here : p);
}

CASE(owner_of_stack) {
    Point here;
    std::unique_ptr<Point> owner(bad ? &here : new Point);
    sink = owner->y;
}

CASE(shared_owner_of_stack) {
    Point here;
    std::shared_ptr<Point> owner(bad ? &here : new Point);
    sink = owner->y;
}

// An array of objects with destructors begins behind the count of them.
struct Named {
    std::string name = "short";
};

CASE(array_with_count) {
    auto p = new Named[3];
    if (bad)
        ::operator delete(p);
    else
        delete[] p;
}

struct Left {
    virtual ~Left() = default;
    long a = 1;
};
struct Right {
    long b = 2;
};
struct Both : Left, Right {};

// The second base lies inside the block.
CASE(second_base) {
    auto p = new Both;
    if (bad)
        delete static_cast<Right *>(p);
    else
        delete static_cast<Left *>(p);
}

CASE(placement) {
    alignas(Point) char room[sizeof(Point)];
    auto p = new (room) Point;
    sink = p->x;
    if (bad)
        delete p;
    else
        p->~Point();
}

CASE(element) {
    auto p = new Point[4];
    if (bad)
        delete (p + 2);
    else
        delete[] p;
}

CASE(element_of_vector) {
    std::vector<Point> points(4);
    if (bad)
        delete &points[2];
}

CASE(text_of_string) {
    std::string short_one = "short";
    auto p = new char[8];
    delete[] (bad ? short_one.data() : p);
}

CASE(sized_interior) {
    auto p = static_cast<char *>(::operator new(96));
    ::operator delete(bad ? p + 32 : p, bad ? 64 : 96);
}

static void *delete_given(void *p) {
    delete static_cast<Point *>(p);
    return nullptr;
}

CASE(stack_of_other_thread) {
    Point here;
    in_thread(delete_given, bad ? &here : new Point);
    sink = here.x;
}
