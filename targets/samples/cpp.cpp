// Objects, arrays and containers, all given back.
// build: g++ -O0 -g
#include <iostream>
#include <string>
#include <vector>

int main() {
    int *one = new int(1);
    int *many = new int[100];
    std::vector<std::string> words(50, std::string(100, 'w'));
    std::cout << *one << " " << words.size() << std::endl;
    delete[] many;
    delete one;
}
