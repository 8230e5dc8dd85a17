// Danger: machine code made at run time that keeps no frame pointer and registers its unwind tables, as LLVM's
// just-in-time compilers do; later other code with another frame comes to the same place.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <sys/mman.h>

typedef void *call(void *(*function)(size_t), size_t size);

void __register_frame(void *);
void __deregister_frame(void *);

// sub rsp,ROOM; mov rax,rdi; mov rdi,rsi; call rax; add rsp,ROOM; ret
#define FRAMELESS(room)                                                                                  \
    {0x48, 0x83, 0xec, room, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0xff, 0xd0, 0x48, 0x83, 0xc4, room, 0xc3}
static const unsigned char small[] = FRAMELESS(24);
static const unsigned char large[] = FRAMELESS(104);

// .eh_frame: a common entry, an entry for code at `code` whose frame is `room` bytes, and the end.
struct __attribute__((packed)) tables {
    uint32_t cie_length, cie_id;
    uint8_t version;
    char augmentation[3];
    uint8_t code_align, data_align, return_register, augmentation_length, encoding, cie_program[5], pad[2];
    uint32_t fde_length, cie_pointer;
    uint64_t start, length;
    uint8_t fde_augmentation_length, fde_program[7];
    uint32_t end;
};

static void describe(struct tables *t, unsigned char *code, size_t length, unsigned char room) {
    *t = (struct tables){
        .cie_length = 20,
        .version = 1,
        .augmentation = "zR",
        .code_align = 1,
        .data_align = 0x78, // -8
        .return_register = 16,
        .augmentation_length = 1,
        .encoding = 0,                               // absolute
        .cie_program = {0x0c, 7, 8, 0x90, 1},        // CFA = rsp + 8; return address at CFA - 8
        .fde_length = 28,
        .cie_pointer = 28,
        .start = (uint64_t)code,
        .length = length,
        .fde_program = {0x44, 0x0e, 8 + room},       // from the 4th byte on: CFA = rsp + 8 + room
    };
}

static void use(unsigned char *code, size_t size) {
    for (int i = 0; i < 100; i++)
        give(size, took(MALLOC, size, ((call *)code)(malloc, size)));
}

int main(void) {
    unsigned char *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        return 77;
    static struct tables tables;
    memcpy(code, small, sizeof small);
    describe(&tables, code, sizeof small, 24);
    __register_frame(&tables);
    use(code, 4099);
    __deregister_frame(&tables);
    memcpy(code, large, sizeof large);
    describe(&tables, code, sizeof large, 104);
    __register_frame(&tables);
    use(code, 10007);
    __deregister_frame(&tables);
    munmap(code, 4096);
    ledger_write();
    return 0;
}
