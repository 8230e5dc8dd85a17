// A source that keeps a C++ compiler busy for about a second: it is compiled, never run.
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Shape {
    std::map<std::string, std::vector<std::pair<int, std::string>>> names;
    std::unordered_map<int, std::set<std::string>> sets;
    std::variant<int, double, std::string, std::vector<int>> value;
    std::function<int(int)> change = [](int x) { return x * N; };

    int work(const std::string &text) {
        names[text].emplace_back(N, text);
        sets[N].insert(text);
        value = std::vector<int>(N, 1);
        std::vector<std::tuple<int, std::string>> rows;
        for (auto &[name, list] : names)
            for (auto &[number, word] : list) rows.emplace_back(change(number), name + word);
        std::sort(rows.begin(), rows.end());
        std::stable_sort(rows.begin(), rows.end(), [](auto &a, auto &b) { return a > b; });
        return std::visit([](auto &it) { return static_cast<int>(sizeof it); }, value) + rows.size();
    }
};

template <int... N> int all(std::integer_sequence<int, N...>) {
    return (Shape<N + 1>().work("shape " + std::to_string(N)) + ...);
}

int main() {
    std::cout << all(std::make_integer_sequence<int, 2>()) << '\n';
}
