// Objects deleted twice, in C++.
// build: g++ -std=c++17 -O1 -g -w -fno-builtin -fno-allocation-dce -pthread
#include "case.h"
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

struct Point {
    long x = 1, y = 2, z = 3;
};

CASE(object_again) {
    auto p = new Point;
    delete p;
    if (bad)
        delete p;
}

CASE(array_again) {
    auto p = new long[40];
    delete[] p;
    if (bad)
        delete[] p;
}

CASE(two_unique_owners) {
    auto p = new Point;
    std::unique_ptr<Point> a(p), b(bad ? p : new Point);
}

CASE(two_shared_owners) {
    auto p = new Point;
    std::shared_ptr<Point> a(p), b = bad ? std::shared_ptr<Point>(p) : a;
}

CASE(still_owned) {
    auto owner = std::make_unique<Point>();
    if (bad)
        delete owner.get();
    else
        delete owner.release();
}

// An owner that is copied bit by bit: no copy constructor.
struct Buffer {
    char *bytes = new char[100];
    ~Buffer() { delete[] bytes; }
};

CASE(copied_owner) {
    Buffer a;
    if (bad)
        Buffer b = a;
}

CASE(delete_then_free) {
    auto p = new Point;
    delete p;
    if (bad)
        free(p);
}

CASE(twice_in_vector) {
    std::vector<Point *> points;
    for (int i = 0; i < 4; i++)
        points.push_back(new Point);
    if (bad)
        points.push_back(points[1]);
    for (auto p : points)
        delete p;
}

CASE(after_catch) {
    auto p = new Point;
    try {
        throw std::runtime_error("no luck");
    } catch (const std::exception &) {
        if (bad)
            delete p;
    }
    delete p;
}

struct alignas(64) Line {
    char bytes[128];
};

CASE(aligned_again) {
    auto p = new Line;
    delete p;
    if (bad)
        delete p;
}

CASE(nothrow_again) {
    auto p = new (std::nothrow) Point;
    delete p;
    if (bad)
        delete p;
}

static void *delete_it(void *p) {
    delete static_cast<Point *>(p);
    return nullptr;
}

CASE(in_two_threads) {
    auto p = new Point;
    in_thread(delete_it, p);
    if (bad)
        in_thread(delete_it, p);
}
