// Sees every access of a kernel to memory, and ends the launch at the first that is wrong:
//
// - outside the arrays that the launch was given, or not aligned to its size;
// - a race: two threads at one byte, at least one of them writing, with no barrier of their block
//   between them (threads of two blocks never have one).
//
// Kernels are compiled with -fsanitize=thread, by which g++ puts a call of __tsan_... before every
// access. The thread sanitizer's own library is not linked: these are the functions that it calls
// instead. Which thread came first does not matter, so one schedule finds what any would.
#include "watch.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "cuda_on_cpu.h"

extern "C" {
// Of this shared library: its constants and the emulator's own variables may be read.
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));
}

namespace {

// Who touched a unit, and when, in one number, since every access compares some: the number of the
// block in the upper half, below it how many barriers the block had met, then that of the thread.
using Access = std::uint64_t;

constexpr Access NOBODY = ~Access{0};
constexpr Access THREAD = 1023;
// After 2^22 barriers the count begins anew: an access as old as that may be taken for one of now,
// but no race is missed.
constexpr Access PHASE = ((Access{1} << 22) - 1) << 10;

unsigned block_of(Access access) { return static_cast<unsigned>(access >> 32); }
unsigned thread_of(Access access) { return static_cast<unsigned>(access & THREAD); }

// What is known of one unit of memory: who wrote it last, and who read it since.
struct Unit {
  Access writer = NOBODY, reader = NOBODY, other_reader = NOBODY;
  bool blocks_read = false;  // threads of two blocks have
};

struct Range {
  std::uintptr_t start, end;
};

// An array, or shared memory, in units of one entry: 4 bytes, or 1 where entries are so small.
struct Memory {
  Range range;
  int shift;  // a unit has 2^shift bytes
  std::vector<Unit> units;
  bool first;  // of the arrays that have its bytes: none before it shares memory with it
};

bool watching;
Range stack, library;
Memory shared;
std::vector<Memory> arrays;
// The array that a place in a kernel's code touched last, by the place's address: most touch one.
Memory* recent[256];
unsigned block;
Access phase, moment;  // the moment is block and phase: an access by thread 0

bool inside(Range range, std::uintptr_t first, std::size_t size) {
  return first >= range.start && first + size <= range.end;
}

std::string where(std::uintptr_t address) {
  char text[96];
  if (inside(shared.range, address, 1)) {
    std::snprintf(text, sizeof text, "byte %zu of shared memory",
                  static_cast<std::size_t>(address - shared.range.start));
    return text;
  }
  std::string best = "an address far from all arrays";
  std::uintptr_t least = 4096;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const Range r = arrays[i].range;
    if (inside(r, address, 1)) {
      std::snprintf(text, sizeof text, "byte %zu of array %zu",
                    static_cast<std::size_t>(address - r.start), i);
      return text;
    }
    if (address >= r.end && address - r.end < least) {
      least = address - r.end;
      std::snprintf(text, sizeof text, "%zu bytes behind array %zu",
                    static_cast<std::size_t>(least), i);
      best = text;
    } else if (address < r.start && r.start - address < least) {
      least = r.start - address;
      std::snprintf(text, sizeof text, "%zu bytes before array %zu",
                    static_cast<std::size_t>(least), i);
      best = text;
    }
  }
  return best;
}

bool same(Access a, Access b) { return ((a ^ b) & ~PHASE) == 0; }

// Whether nothing orders an earlier access before one of now.
bool unordered(Access earlier, Access now) {
  const Access differs = earlier ^ now;
  if (earlier == NOBODY || (differs & ~PHASE) == 0) return false;
  return block_of(differs) != 0 || (differs & PHASE) == 0;
}

[[noreturn, gnu::cold, gnu::noinline]] void race(Access earlier, std::uintptr_t address,
                                                 const char* kinds) {
  nn_fail("race (" + std::string(kinds) + ") at " + where(address) + ", also touched by thread " +
          std::to_string(thread_of(earlier)) + " of block " + std::to_string(block_of(earlier)) +
          " (in order of blocks) with no barrier between");
}

template <bool WRITES>
__attribute__((always_inline)) inline void note(Unit& unit, Access now, std::uintptr_t address) {
  if (unordered(unit.writer, now))
    race(unit.writer, address, WRITES ? "two writes" : "read and write");
  if (WRITES) {
    if (unordered(unit.reader, now)) race(unit.reader, address, "read and write");
    if (unordered(unit.other_reader, now) || (unit.blocks_read && unit.reader != NOBODY))
      race(unit.other_reader, address, "read and write");
    unit.writer = now;
    unit.reader = unit.other_reader = NOBODY;
    unit.blocks_read = false;
  } else if (!same(unit.reader, now)) {
    if (unit.reader != NOBODY && block_of(unit.reader) != block_of(now)) unit.blocks_read = true;
    unit.other_reader = unit.reader;
    unit.reader = now;
  } else {
    unit.reader = now;
  }
}

[[noreturn, gnu::cold, gnu::noinline]] void outside(std::uintptr_t address, std::size_t size,
                                                    bool writes) {
  nn_fail(std::string("out of bounds: a ") + (writes ? "write" : "read") + " of " +
          std::to_string(size) + " bytes at " + where(address));
}

[[noreturn, gnu::cold, gnu::noinline]] void misaligned(std::uintptr_t address, std::size_t size) {
  nn_fail("misaligned: an access of " + std::to_string(size) + " bytes at " + where(address));
}

// The first array that has these bytes.
__attribute__((noinline)) Memory* array_of(std::uintptr_t address, std::size_t size) {
  for (Memory& one : arrays)
    if (inside(one.range, address, size)) return &one;
  return nullptr;
}

// Inlined, since it is most of what a test takes: `size` is a constant in all but ranges.
template <bool WRITES, bool ALIGNED>
__attribute__((always_inline)) inline void touch(const void* pointer, std::size_t size) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  if (!watching || inside(stack, address, size)) return;
  Memory* memory = &shared;
  if (!inside(shared.range, address, size)) {
    // Its constants, and the indices of thread and block; no array lies in a library.
    if (!WRITES && inside(library, address, size)) return;
    Memory*& met = recent[reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)) % 256];
    memory = met;
    if (memory == nullptr || !inside(memory->range, address, size)) {
      memory = array_of(address, size);
      if (memory == nullptr) outside(address, size, WRITES);
      if (memory->first) met = memory;
    }
  }
  if (ALIGNED && address % size != 0) misaligned(address, size);
  const Access now = moment | static_cast<Access>(nn_current_thread);
  const std::size_t start = (address - memory->range.start) >> memory->shift;
  const std::size_t last = (address + size - 1 - memory->range.start) >> memory->shift;
  Unit* const units = memory->units.data();
  for (std::size_t i = start; i <= last; ++i) note<WRITES>(units[i], now, address);
}

void set_moment() { moment = Access{block} << 32 | (phase << 10 & PHASE); }

void remember(Memory& memory, Range range, std::size_t unit) {
  memory.range = range;
  memory.shift = unit == 1 ? 0 : unit == 2 ? 1 : 2;
  memory.units.assign((range.end - range.start + unit - 1) / unit, Unit{});
}

}  // namespace

void nn_watch_launch(const char* stacks, const char* stacks_end, const char* shared_start,
                     const char* shared_end, const std::uintptr_t* ranges, int count) {
  const auto number = [](const char* p) { return reinterpret_cast<std::uintptr_t>(p); };
  stack = {number(stacks), number(stacks_end)};
  library = {number(__ehdr_start), number(_end)};
  remember(shared, {number(shared_start), number(shared_end)}, 4);
  arrays.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    remember(arrays[i], {ranges[3 * i], ranges[3 * i + 1]}, ranges[3 * i + 2]);
  for (int i = 0; i < count; ++i) {
    const Range r = arrays[i].range;
    arrays[i].first = std::none_of(arrays.begin(), arrays.begin() + i, [r](const Memory& one) {
      return one.range.start < r.end && r.start < one.range.end;
    });
  }
  std::fill(recent, recent + 256, nullptr);
  block = ~0u;
  watching = true;
}

void nn_watch_block() {
  ++block;  // from ~0 to 0
  phase = 0;
  set_moment();
  // Another block has shared memory of its own.
  std::fill(shared.units.begin(), shared.units.end(), Unit{});
}

void nn_watch_barrier() {
  ++phase;
  set_moment();
}

void nn_watch_end() { watching = false; }

// Hidden, so that kernels call them without a detour through the table for other libraries.
#pragma GCC visibility push(hidden)
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_read_range(const void* p, std::size_t size) { touch<false, false>(p, size); }
void __tsan_write_range(void* p, std::size_t size) { touch<true, false>(p, size); }
#define SIZED(size)                                                                \
  void __tsan_read##size(const void* p) { touch<false, true>(p, size); }           \
  void __tsan_write##size(void* p) { touch<true, true>(p, size); }                 \
  void __tsan_unaligned_read##size(const void* p) { touch<false, false>(p, size); } \
  void __tsan_unaligned_write##size(void* p) { touch<true, false>(p, size); }
SIZED(1)
SIZED(2)
SIZED(4)
SIZED(8)
SIZED(16)
}
#pragma GCC visibility pop
