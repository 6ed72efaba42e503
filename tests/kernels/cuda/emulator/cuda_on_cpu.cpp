// Runs a kernel for every thread of every block, and says what would go wrong on a GPU: threads
// that wait at different barriers, or for one that has ended. See watch.h for races and bounds.
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cuda_on_cpu.h"
#include "watch.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

nn_index nn_thread, nn_block, nn_block_size, nn_grid_size;
int nn_current_thread;

extern "C" {
extern char __start_nn_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_nn_shared[] __attribute__((weak, visibility("hidden")));
}

namespace {

constexpr std::size_t STACK = 128 * 1024;
constexpr int MOST_THREADS = 1024;

enum State { WAITING_TO_START, READY, AT_BARRIER, IN_SHUFFLE, ENDED };

struct Thread {
  nn_index index;
  State state;
  int line;  // of the barrier or shuffle that it waits in
  std::uint64_t bits;
  int source;
  int fiber;
};

struct Fiber {
  ucontext_t context;
  bool made, started;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
#else
  jmp_buf where;
#endif
};

using Entry = void (*)(void**);

char* stacks;
Fiber fibers[MOST_THREADS];
std::vector<int> idle;
ucontext_t scheduler;
#if defined(__SANITIZE_ADDRESS__)
void* scheduler_fake_stack;
const void* scheduler_stack;
std::size_t scheduler_stack_size;
#else
jmp_buf scheduler_where;
#endif
std::vector<Thread> threads;
std::vector<int> order, turns;
std::size_t next_start;
int& current = nn_current_thread;
Entry entry;
void** arguments;
std::string failure;

#if defined(__SANITIZE_ADDRESS__)
// The sanitizer is told of every change of stack.
void enter_fiber(int fiber) {
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, stacks + fiber * STACK, STACK);
  swapcontext(&scheduler, &fibers[fiber].context);
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
}

void leave_fiber(int fiber) {
  __sanitizer_start_switch_fiber(&fibers[fiber].fake_stack, scheduler_stack,
                                 scheduler_stack_size);
  swapcontext(&fibers[fiber].context, &scheduler);
  __sanitizer_finish_switch_fiber(fibers[fiber].fake_stack, &scheduler_stack,
                                  &scheduler_stack_size);
}
#else
// swapcontext starts a fiber; from then on jumps do, since they need no call of the kernel.
void enter_fiber(int fiber) {
  if (_setjmp(scheduler_where) != 0) return;
  if (fibers[fiber].started) _longjmp(fibers[fiber].where, 1);
  fibers[fiber].started = true;
  swapcontext(&scheduler, &fibers[fiber].context);
}

void leave_fiber(int fiber) {
  if (_setjmp(fibers[fiber].where) == 0) _longjmp(scheduler_where, 1);
}
#endif

// Starts one thread after the other; a thread that has to wait takes its fiber along.
void fiber_main(int fiber) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_size);
#endif
  for (;;) {
    while (next_start < turns.size() && failure.empty()) {
      current = turns[next_start++];
      threads[current].fiber = fiber;
      nn_thread = threads[current].index;
      entry(arguments);
      threads[current].state = ENDED;
    }
    idle.push_back(fiber);
    leave_fiber(fiber);
  }
}

void wait_as(State state, int line) {
  const int me = current;
  threads[me].state = state;
  threads[me].line = line;
  leave_fiber(threads[me].fiber);
}

std::string named(int thread) {
  const nn_index t = threads[thread].index;
  char text[96];
  std::snprintf(text, sizeof text, "thread (%u, %u, %u) of block (%u, %u, %u)", t.x, t.y, t.z,
                nn_block.x, nn_block.y, nn_block.z);
  return text;
}

// Only when it is needed: the first write to a stack takes memory.
void make_fiber(int fiber) {
  fibers[fiber].made = true;
  getcontext(&fibers[fiber].context);
  fibers[fiber].context.uc_stack.ss_sp = stacks + fiber * STACK;
  fibers[fiber].context.uc_stack.ss_size = STACK;
  fibers[fiber].context.uc_link = nullptr;
  makecontext(&fibers[fiber].context, reinterpret_cast<void (*)()>(fiber_main), 1, fiber);
}

void run_starters() {
  if (idle.empty()) {
    failure = "too many threads wait at once";
    return;
  }
  const int fiber = idle.back();
  idle.pop_back();
  if (!fibers[fiber].made) make_fiber(fiber);
  enter_fiber(fiber);
}

bool release_shuffles() {
  bool any = false;
  for (std::size_t first = 0; first < threads.size(); first += 32) {
    const std::size_t last = std::min(first + 32, threads.size());
    int waiting = 0;
    for (std::size_t t = first; t < last; ++t) waiting += threads[t].state == IN_SHUFFLE;
    if (waiting == 0) continue;
    for (std::size_t t = first; t < last; ++t) {
      if (threads[t].state != IN_SHUFFLE || threads[t].line != threads[first].line) {
        failure = "divergence: not all lanes of a warp take part in the shuffle; " +
                  named(static_cast<int>(t)) + " does not";
        return false;
      }
    }
    std::vector<std::uint64_t> values(32);
    for (std::size_t t = first; t < last; ++t) {
      const std::size_t source = first + static_cast<std::size_t>(threads[t].source);
      if (source >= last) {
        failure = "a shuffle reads a lane that the warp has not";
        return false;
      }
      values[t - first] = threads[source].bits;
    }
    for (std::size_t t = first; t < last; ++t) {
      threads[t].bits = values[t - first];
      threads[t].state = READY;
    }
    any = true;
  }
  return any;
}

// A GPU waits for no thread that has ended. CUDA promises that for none of its architectures, so our
// kernels must not count on it; those of CuPy do.
#if defined(NN_ENDED_MAY_BE_MISSING)
constexpr bool ENDED_MAY_BE_MISSING = true;
#else
constexpr bool ENDED_MAY_BE_MISSING = false;
#endif

bool release_barrier() {
  int line = 0;
  for (std::size_t t = 0; t < threads.size(); ++t) {
    if (ENDED_MAY_BE_MISSING && threads[t].state == ENDED) continue;
    if (line == 0) line = threads[t].line;
    if (threads[t].state != AT_BARRIER || threads[t].line != line) {
      const bool ended = threads[t].state == ENDED;
      failure = "divergence: not all threads of a block come to one __syncthreads; " +
                named(static_cast<int>(t)) +
                (ended ? " has ended while others wait" : " waits elsewhere");
      return false;
    }
  }
  for (Thread& thread : threads)
    if (thread.state == AT_BARRIER) thread.state = READY;
  nn_watch_barrier();
  return true;
}

void run_block() {
  for (Thread& thread : threads) thread.state = WAITING_TO_START;
  turns = order;
  next_start = 0;
  nn_watch_block();
  for (;;) {
    while (next_start < turns.size() && failure.empty()) run_starters();
    for (std::size_t turn = 0; turn < order.size() && failure.empty(); ++turn) {
      const int t = order[turn];
      if (threads[t].state != READY) continue;
      current = t;
      nn_thread = threads[t].index;
      enter_fiber(threads[t].fiber);
    }
    if (!failure.empty()) return;
    bool ended = true, ready = false;
    for (const Thread& thread : threads) {
      ended = ended && thread.state == ENDED;
      ready = ready || thread.state == READY;
    }
    if (ended) return;
    if (ready) continue;
    if (!release_shuffles() && failure.empty()) release_barrier();
    if (!failure.empty()) return;
  }
}

void make_fibers() {
  if (stacks == nullptr)
    stacks = static_cast<char*>(mmap(nullptr, STACK * MOST_THREADS, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  idle.clear();
  for (int fiber = MOST_THREADS - 1; fiber >= 0; --fiber) {
    fibers[fiber].made = fibers[fiber].started = false;
    idle.push_back(fiber);
  }
}

}  // namespace

void nn_barrier(int line) { wait_as(AT_BARRIER, line); }

std::uint64_t nn_shuffle(std::uint64_t bits, unsigned mask, int source, int line) {
  if (mask != 0xffffffffu) failure = "a shuffle without all lanes is not played here";
  const int me = current;
  threads[me].bits = bits;
  threads[me].source = source;
  wait_as(IN_SHUFFLE, line);
  return threads[me].bits;
}

// Ends the launch from within a thread, before it does what it was about to do.
void nn_fail(const std::string& what) {
  failure = what + ", by " + named(current);
  for (;;) leave_fiber(threads[current].fiber);
}

// Launches a kernel. Schedule 0 runs blocks and threads in order, 1 backwards, any other number
// in an order drawn from it. `ranges` has for each of `count` arrays the addresses of its
// start and its end, and the size of the units in which it is watched. Returns 0, or 1 with the reason in `message`.
extern "C" int nn_launch(Entry kernel, void** kernel_arguments, const unsigned* grid,
                         const unsigned* block, int schedule, const std::uintptr_t* ranges,
                         int count, char* message, std::size_t size) {
  // Fibers are made again only after a failure has left some of them in the middle of a kernel.
  if (stacks == nullptr || !failure.empty()) make_fibers();
  failure.clear();
  entry = kernel;
  arguments = kernel_arguments;
  nn_grid_size = {grid[0], grid[1], grid[2]};
  nn_block_size = {block[0], block[1], block[2]};
  const unsigned per_block = block[0] * block[1] * block[2];
  if (per_block == 0 || per_block > MOST_THREADS) failure = "a block has 1 to 1024 threads";
  if (grid[1] > 65535 || grid[2] > 65535) failure = "a grid has at most 65535 blocks in y and z";
  const std::size_t blocks = std::size_t{grid[0]} * grid[1] * grid[2];
  threads.assign(per_block, Thread{});
  for (unsigned t = 0; t < per_block; ++t)
    threads[t].index = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};
  std::mt19937 random(static_cast<unsigned>(schedule));
  const auto arrange = [&](std::vector<std::size_t>& all) {
    std::iota(all.begin(), all.end(), std::size_t{0});
    if (schedule == 1) std::reverse(all.begin(), all.end());
    if (schedule > 1) std::shuffle(all.begin(), all.end(), random);
  };
  std::vector<std::size_t> block_order(blocks), thread_order(per_block);
  arrange(block_order);
  nn_watch_launch(stacks, stacks + STACK * MOST_THREADS, __start_nn_shared, __stop_nn_shared,
                  ranges, count);
  for (std::size_t i = 0; i < blocks && failure.empty(); ++i) {
    const unsigned b = static_cast<unsigned>(block_order[i]);
    nn_block = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
    arrange(thread_order);
    order.assign(thread_order.begin(), thread_order.end());
#if !defined(__SANITIZE_ADDRESS__)
    // On a GPU shared memory holds anything: all bits set is NaN.
    if (__start_nn_shared != nullptr)
      std::memset(__start_nn_shared, 0xff,
                  static_cast<std::size_t>(__stop_nn_shared - __start_nn_shared));
#endif
    run_block();
  }
  nn_watch_end();
  if (failure.empty()) return 0;
  std::snprintf(message, size, "%s", failure.c_str());
  return 1;
}
