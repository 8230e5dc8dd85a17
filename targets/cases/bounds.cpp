// Accesses outside a block, in C++.
// build: g++ -std=c++17 -O1 -g -w -fno-builtin -fno-allocation-dce -pthread
#include "case.h"
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

CASE(new_array_write) {
    auto p = new volatile int[8];
    p[bad ? 8 : 7] = 1;
    delete[] p;
}

CASE(new_array_read) {
    auto p = new int[8]();
    sink = p[bad ? 8 : 7];
    delete[] p;
}

CASE(new_array_before) {
    auto p = new volatile long[8]();
    p[bad ? -1 : 0] = 0x51;
    delete[] p;
}

CASE(vector_write) {
    std::vector<long> numbers(8);
    numbers[bad ? 8 : 7] = 1;
}

CASE(vector_read) {
    std::vector<long> numbers(8);
    sink = numbers[bad ? 8 : 7];
}

CASE(vector_before) {
    std::vector<long> numbers(8);
    sink = numbers[bad ? -1 : 0];
}

CASE(vector_past_reserved) {
    std::vector<int> numbers;
    numbers.reserve(16);
    numbers.push_back(1);
    numbers[bad ? 16 : 0] = 1;
}

CASE(end_dereferenced) {
    std::vector<long> numbers{1, 2, 3, 4};
    auto found = std::find(numbers.begin(), numbers.end(), bad ? 5 : 4);
    sink = *found;
}

CASE(vector_back_of_none) {
    std::vector<long> numbers{1, 2};
    numbers.pop_back();
    if (bad)
        numbers.pop_back();
    sink = numbers.back();
}

CASE(copy_too_long) {
    std::vector<int> from(24), to(16);
    std::copy(from.begin(), from.begin() + (bad ? 24 : 16), to.begin());
}

CASE(fill_too_long) {
    std::vector<char> bytes(64);
    std::fill_n(bytes.begin(), bad ? 80 : 64, 'x');
}

CASE(unique_array) {
    auto p = std::make_unique<volatile long[]>(6);
    p[bad ? 6 : 5] = 1;
}

CASE(string_data) {
    std::string text(47, 'x');
    text.data()[bad ? 48 : 46] = 'y';
}

CASE(string_index) {
    std::string text(47, 'x');
    sink = text[bad ? 50 : 40];
}

CASE(view_too_long) {
    std::string text(47, 'x');
    std::string_view view(text.data(), bad ? 60 : 47);
    sink = std::count(view.begin(), view.end(), 'y');
}

CASE(wide_string) {
    std::wstring text(15, L'x');
    text.data()[bad ? 16 : 14] = L'y';
}

struct Base {
    virtual ~Base() = default;
    long a = 1;
};
struct Derived : Base {
    long b = 2, c = 3;
};

// The object is none of the class it is taken for.
CASE(wrong_downcast) {
    std::unique_ptr<Base> p;
    if (bad)
        p = std::make_unique<Base>();
    else
        p = std::make_unique<Derived>();
    static_cast<Derived *>(p.get())->c = 4;
}

struct Matrix {
    int rows, columns;
    std::vector<double> cells;
    Matrix(int rows, int columns) : rows(rows), columns(columns), cells(rows * columns) {}
    double &at(int row, int column) { return cells[row * columns + column]; }
};

CASE(matrix_row) {
    Matrix matrix(4, 6);
    matrix.at(bad ? 4 : 3, 2) = 1;
}

struct Particle {
    double position[3], speed[3];
};

CASE(objects_read) {
    auto particles = std::make_unique<Particle[]>(5);
    sink = particles[bad ? 5 : 4].position[0];
}

static void *fill(void *vector) {
    auto &numbers = *static_cast<std::vector<int> *>(vector);
    for (int i = 0; i < 16; i++)
        numbers[i] = i;
    return nullptr;
}

CASE(vector_in_thread) {
    std::vector<int> numbers(bad ? 12 : 16);
    in_thread(fill, &numbers);
}
