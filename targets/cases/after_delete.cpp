// Uses of objects that were deleted, in C++.
// build: g++ -std=c++17 -O1 -g -w -fno-builtin -fno-allocation-dce -pthread
#include "case.h"
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

struct Point {
    volatile long x = 1, y = 2, z = 3;
};

CASE(member_read) {
    auto p = new Point;
    if (!bad)
        sink = p->y;
    delete p;
    if (bad)
        sink = p->y;
}

CASE(member_written) {
    auto p = new Point;
    if (!bad)
        p->z = 4;
    delete p;
    if (bad)
        p->z = 4;
}

CASE(array_read) {
    auto p = new long[16]();
    if (!bad)
        sink = p[8];
    delete[] p;
    if (bad)
        sink = p[8];
}

CASE(reference_into_vector) {
    std::vector<long> numbers{1, 2, 3, 4};
    long &third = numbers[2];
    if (bad)
        numbers.push_back(5);
    third = 7;
}

CASE(iterator_of_grown) {
    std::vector<long> numbers{1, 2, 3, 4};
    auto it = numbers.begin() + 1;
    if (bad)
        numbers.insert(numbers.end(), 100, 0);
    sink = *it;
}

CASE(grown_in_loop) {
    std::vector<long> numbers{1, 2, 3, 4};
    long sum = 0;
    int left = 4;
    for (auto it = numbers.begin(); left-- > 0; ++it) {
        sum += *it;
        if (bad)
            numbers.push_back(sum);
    }
    sink = sum;
}

CASE(data_of_swapped) {
    std::vector<long> numbers(16);
    long *first = numbers.data();
    if (bad)
        std::vector<long>().swap(numbers);
    first[3] = 7;
}

CASE(view_of_dead) {
    std::string_view view;
    std::string keeps = "a text that is too long for the object itself";
    if (bad) {
        std::string dies = "another text that is too long for the object";
        view = dies;
    } else {
        view = keeps;
    }
    sink = view[20];
}

static std::string NOINLINE name() { return std::string(60, 'n'); }

CASE(text_of_temporary) {
    std::string kept = name();
    const char *text = kept.c_str();
    if (bad)
        text = name().c_str();
    sink = text[30];
}

CASE(text_of_grown_string) {
    std::string text(40, 'x');
    const char *old = text.c_str();
    if (bad)
        text.append(200, 'y');
    sink = old[20];
}

CASE(erased_from_map) {
    std::map<int, long> ages{{1, 10}, {2, 20}, {3, 30}};
    auto second = ages.find(2);
    if (bad)
        ages.erase(second);
    sink = second->second;
}

CASE(erased_in_loop) {
    std::set<int> numbers{1, 2, 3, 4};
    for (auto it = numbers.begin(); it != numbers.end();) {
        if (bad) {
            numbers.erase(it);
            sink = ++it == numbers.end();
            break;
        }
        it = numbers.erase(it);
    }
}

CASE(value_of_erased) {
    std::unordered_map<std::string, Point> points{{"here", {}}, {"there", {}}};
    Point &there = points["there"];
    if (bad)
        points.erase("there");
    there.x = 9;
}

CASE(after_reset) {
    auto owner = std::make_unique<Point>();
    Point *p = owner.get();
    if (bad)
        owner.reset();
    sink = p->z;
}

CASE(after_move) {
    auto owner = std::make_unique<Point>();
    Point &point = *owner;
    auto next = std::move(owner);
    if (bad)
        next = nullptr;
    point.x = 5;
}

CASE(last_shared_gone) {
    auto owner = std::make_shared<Point>();
    Point *p = owner.get();
    auto second = owner;
    owner.reset();
    if (bad)
        second.reset();
    sink = p->y;
}

struct Shape {
    virtual ~Shape() = default;
    virtual long area() const { return 1; }
    long side = 2;
};
struct Square : Shape {
    long area() const override { return side * side; }
};

static long NOINLINE area(const Shape *shape) { return shape->area(); }

CASE(virtual_call) {
    Shape *shape = new Square;
    if (!bad)
        sink = area(shape);
    delete shape;
    if (bad)
        sink = shape->side;
}

static std::function<long()> NOINLINE counter(bool bad) {
    if (bad) {
        auto count = std::make_unique<long>(41);
        long &it = *count;
        return [&it] { return it + 1; };
    }
    auto count = std::make_shared<long>(41);
    return [count] { return *count + 1; };
}

CASE(captured_reference) { sink = counter(bad)(); }

CASE(child_after_parent) {
    struct Tree {
        std::vector<std::unique_ptr<Point>> children;
    };
    auto tree = std::make_unique<Tree>();
    tree->children.push_back(std::make_unique<Point>());
    Point *child = tree->children[0].get();
    if (bad)
        tree.reset();
    child->x = 3;
}

// The thread outlives what it was given.
CASE(thread_outlives) {
    auto point = std::make_unique<Point>();
    Point *given = point.get();
    if (bad)
        point.reset();
    std::thread([given] { given->y = 8; }).join();
}

CASE(deleted_by_thread) {
    auto p = new Point;
    if (!bad)
        sink = p->z;
    std::thread([p] { delete p; }).join();
    if (bad)
        sink = p->z;
}
