// Memory of the device, which work on streams alone may touch: whoever reads it on the host gets a
// segmentation fault. New memory holds NaN, its first megabytes.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "device.h"

namespace {

constexpr std::size_t REGION = std::size_t{64} << 30, TOTAL = std::size_t{8} << 30;
constexpr std::size_t ALIGNMENT = 512, FILLED = std::size_t{4} << 20;

struct Range {
  std::size_t bytes;
  int device;
};
using Ranges = std::map<std::uintptr_t, Range>;

char* region = nullptr;
Ranges allocated, pinned;
// What was given back, by its address; it is used again, or a Door would walk ever more memory.
std::map<std::uintptr_t, std::size_t> holes;
std::size_t used[DEVICES] = {}, highest = 0;
int open_doors = 0;

std::uintptr_t number(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

std::size_t rounded(std::size_t bytes) {
  return (std::max<std::size_t>(bytes, 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

const Range* within(const Ranges& all, std::uintptr_t at, std::size_t bytes) {
  auto found = all.upper_bound(at);
  if (found == all.begin()) return nullptr;
  --found;
  const std::size_t size = std::max<std::size_t>(found->second.bytes, 1);
  return at + bytes <= found->first + size ? &found->second : nullptr;
}

int of(const void* address) {
  const Range* found = within(allocated, number(address), 1);
  return found == nullptr ? gpu_current : found->device;
}

// The first hole that is large enough, or new memory.
char* taken(std::size_t size) {
  for (auto hole = holes.begin(); hole != holes.end(); ++hole) {
    const auto [at, length] = *hole;
    if (length < size) continue;
    holes.erase(hole);
    if (length > size) holes[at + size] = length - size;
    return reinterpret_cast<char*>(at);
  }
  if (highest + size > REGION) return nullptr;
  char* made = region + highest;
  if (open_doors) mprotect(region, highest + size, PROT_READ | PROT_WRITE);
  highest += size;
  return made;
}

void give_back(std::uintptr_t at, std::size_t size) {
  auto hole = holes.emplace(at, size).first;
  const auto next = std::next(hole);
  if (next != holes.end() && at + size == next->first) {
    hole->second += next->second;
    holes.erase(next);
  }
  if (hole == holes.begin()) return;
  const auto before = std::prev(hole);
  if (before->first + before->second != at) return;
  before->second += hole->second;
  holes.erase(hole);
}

void* allocate(std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  if (region == nullptr) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* made = mmap(nullptr, REGION, PROT_NONE, flags, -1, 0);
    if (made == MAP_FAILED) return nullptr;
    region = static_cast<char*>(made);
  }
  if (used[gpu_current] + size > TOTAL) return nullptr;
  char* made = taken(size);
  if (made == nullptr) return nullptr;
  used[gpu_current] += size;
  allocated[number(made)] = {bytes, gpu_current};
  Door door;
  std::memset(made, 0xff, std::min(bytes, FILLED));
  return made;
}

cudaError_t copy(void* to, const void* from, std::size_t bytes, Stream* stream, bool wait) {
  for (const void* one : {const_cast<const void*>(to), from})
    if (gpu_address(one) && !within(allocated, number(one), bytes)) return cudaErrorInvalidValue;
  const bool reads_host = !gpu_address(from), writes_host = !gpu_address(to);
  ++(writes_host ? gpu_counted.to_host : reads_host ? gpu_counted.to_device : gpu_counted.within);
  if (wait)
    if (const cudaError_t error = refuse_captured(stream)) return error;
  std::shared_ptr<std::vector<char>> held;
  if (reads_host && !gpu_pinned(from, bytes) && !captured(stream)) {
    // Pageable memory is read before the call returns.
    const char* first = static_cast<const char*>(from);
    held = std::make_shared<std::vector<char>>(first, first + bytes);
  }
  // A copy between two devices in the default stream waits for both, and both for it.
  const bool between = !reads_host && !writes_host && of(to) != of(from);
  if (between && stream == stream_of(nullptr)) finish_all();
  const cudaError_t error = submit(stream, [=] {
    Door door;
    std::memmove(to, held ? held->data() : from, bytes);
    return 0;
  });
  // Pageable memory is written before the call returns.
  if (wait || between || (writes_host && !gpu_pinned(to, bytes) && !captured(stream))) finish(stream);
  return error;
}

}  // namespace

Door::Door() {
  if (open_doors++ == 0 && highest) mprotect(region, highest, PROT_READ | PROT_WRITE);
}

Door::~Door() {
  if (--open_doors == 0 && highest) mprotect(region, highest, PROT_NONE);
}

bool gpu_owns(int device, const void* address, std::size_t bytes) {
  const Range* found = within(allocated, number(address), bytes);
  return found != nullptr && found->device == device;
}

bool gpu_pinned(const void* address, std::size_t bytes) {
  return within(pinned, number(address), bytes) != nullptr;
}

bool gpu_address(const void* address) {
  const char* at = static_cast<const char*>(address);
  return region != nullptr && at >= region && at < region + REGION;
}

extern "C" {

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  Lock lock(gpu_mutex);
  *memory = bytes ? allocate(bytes) : nullptr;
  return told(bytes && *memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaFree(void* memory) {
  Lock lock(gpu_mutex);
  if (memory == nullptr) return cudaSuccess;
  finish_all();
  const auto found = allocated.find(number(memory));
  if (found == allocated.end()) return told(cudaErrorInvalidValue);
  const std::size_t size = rounded(found->second.bytes);
  used[found->second.device] -= size;
  give_back(found->first, size);
  allocated.erase(found);
  return told(cudaSuccess);
}

cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  Lock lock(gpu_mutex);
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  std::memset(*memory, 0xff, bytes);
  pinned[number(*memory)] = {bytes, 0};
  return told(cudaSuccess);
}

cudaError_t cudaFreeHost(void* memory) {
  Lock lock(gpu_mutex);
  finish_all();
  if (pinned.erase(number(memory)) == 0) return told(cudaErrorInvalidValue);
  std::free(memory);
  return told(cudaSuccess);
}

cudaError_t cudaMemGetInfo(std::size_t* left, std::size_t* total) {
  Lock lock(gpu_mutex);
  *left = TOTAL - used[gpu_current];
  *total = TOTAL;
  return told(cudaSuccess);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* made, const void* address) {
  Lock lock(gpu_mutex);
  void* same = const_cast<void*>(address);
  const bool there = gpu_address(address);
  const auto here = gpu_pinned(address) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  *made = {there ? cudaMemoryTypeDevice : here, of(address), there ? same : nullptr, there ? nullptr : same};
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  Lock lock(gpu_mutex);
  return told(copy(to, from, bytes, stream_of(nullptr), true));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  Lock lock(gpu_mutex);
  return told(copy(to, from, bytes, stream_of(stream), false));
}

cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes,
                                cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
}

cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, std::size_t bytes) {
  return cudaMemcpy(to, from, bytes, cudaMemcpyDefault);
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  Lock lock(gpu_mutex);
  if (!within(allocated, number(memory), bytes)) return told(cudaErrorInvalidValue);
  return told(submit(stream_of(stream), [=] {
    Door door;
    std::memset(memory, value, bytes);
    return 0;
  }));
}

cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  return cudaMemsetAsync(memory, value, bytes, nullptr);
}

}  // extern "C"
