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

constexpr unsigned NOBODY = 0xffffffffu;

struct Access {
  unsigned block = NOBODY, thread = 0, phase = 0;
};

// What is known of one unit of memory: who wrote it last, and who read it since.
struct Unit {
  Access writer, reader, other_reader;
  bool blocks_read = false;  // threads of two blocks have
};

struct Range {
  std::uintptr_t start, end;
};

// An array, or shared memory, in units of one entry: 4 bytes, or 1 where entries are so small.
struct Memory {
  Range range;
  std::size_t unit;
  std::vector<Unit> units;
};

bool watching;
Range stack, library;
Memory shared;
std::vector<Memory> arrays;
unsigned block, phase;

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

bool same(Access a, Access b) { return a.block == b.block && a.thread == b.thread; }

// Whether nothing orders an earlier access before one of now.
bool unordered(Access earlier, Access now) {
  if (earlier.block == NOBODY || same(earlier, now)) return false;
  return earlier.block != now.block || earlier.phase == now.phase;
}

void race(Access earlier, std::uintptr_t address, const char* kinds) {
  nn_fail("race (" + std::string(kinds) + ") at " + where(address) + ", also touched by thread " +
          std::to_string(earlier.thread) + " of block " + std::to_string(earlier.block) +
          " (in order of blocks) with no barrier between");
}

void note(Unit& unit, Access now, std::uintptr_t address, bool writes) {
  if (unordered(unit.writer, now))
    race(unit.writer, address, writes ? "two writes" : "read and write");
  if (writes) {
    if (unordered(unit.reader, now)) race(unit.reader, address, "read and write");
    if (unordered(unit.other_reader, now) || (unit.blocks_read && unit.reader.block != NOBODY))
      race(unit.other_reader, address, "read and write");
    unit.writer = now;
    unit.reader = unit.other_reader = Access{};
    unit.blocks_read = false;
  } else if (!same(unit.reader, now)) {
    if (unit.reader.block != NOBODY && unit.reader.block != now.block) unit.blocks_read = true;
    unit.other_reader = unit.reader;
    unit.reader = now;
  } else {
    unit.reader = now;
  }
}

void touch(const void* pointer, std::size_t size, bool writes, bool checks_alignment) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  if (!watching || inside(stack, address, size)) return;
  Memory* memory = inside(shared.range, address, size) ? &shared : nullptr;
  for (std::size_t i = 0; i < arrays.size() && memory == nullptr; ++i)
    if (inside(arrays[i].range, address, size)) memory = &arrays[i];
  if (memory == nullptr) {
    // Its constants, and the indices of thread and block.
    if (!writes && inside(library, address, size)) return;
    nn_fail(std::string("out of bounds: a ") + (writes ? "write" : "read") + " of " +
            std::to_string(size) + " bytes at " + where(address));
  }
  if (checks_alignment && address % size != 0)
    nn_fail("misaligned: an access of " + std::to_string(size) + " bytes at " + where(address));
  const Access now{block, nn_current_thread(), phase};
  const std::size_t start = (address - memory->range.start) / memory->unit;
  const std::size_t last = (address + size - 1 - memory->range.start) / memory->unit;
  for (std::size_t i = start; i <= last; ++i) note(memory->units[i], now, address, writes);
}

void remember(Memory& memory, Range range, std::size_t unit) {
  memory.range = range;
  memory.unit = unit;
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
  block = NOBODY;
  watching = true;
}

void nn_watch_block() {
  ++block;  // from NOBODY to 0
  phase = 0;
  // Another block has shared memory of its own.
  std::fill(shared.units.begin(), shared.units.end(), Unit{});
}

void nn_watch_barrier() { ++phase; }
void nn_watch_end() { watching = false; }

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_read_range(const void* p, std::size_t size) { touch(p, size, false, false); }
void __tsan_write_range(void* p, std::size_t size) { touch(p, size, true, false); }
#define SIZED(size)                                                                \
  void __tsan_read##size(const void* p) { touch(p, size, false, true); }           \
  void __tsan_write##size(void* p) { touch(p, size, true, true); }                 \
  void __tsan_unaligned_read##size(const void* p) { touch(p, size, false, false); } \
  void __tsan_unaligned_write##size(void* p) { touch(p, size, true, false); }
SIZED(1)
SIZED(2)
SIZED(4)
SIZED(8)
SIZED(16)
}
