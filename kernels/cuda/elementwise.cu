// Assignments, and the numbers that a plan changes at each step.
#include "common.cuh"

// y = x
KERNEL copy(const REAL* x, REAL* y, Index n) {
  sweep(
      n, aligned(x) && aligned(y), [=](Index j) { store(y, j, load(x, j)); },
      [=](Index i) { y[i] = x[i]; });
}

// y = value
KERNEL fill(REAL* y, Index n, Number value) {
  const REAL one = REAL(value());
  sweep(
      n, aligned(y),
      [=](Index j) {
        Pack pack;
        for (int k = 0; k < WIDTH; ++k) pack.v[k] = one;
        store(y, j, pack);
      },
      [=](Index i) { y[i] = one; });
}

// The words of a page: numbers that stand in memory for launches behind this one.
constexpr int WORDS = 32;
struct Page {
  Counter w[WORDS];
};

// to = page. A launch keeps its arguments as they are when it is made, so the host may write the
// next page at once; a copy would need the host's memory until it is done.
KERNEL set_page(Counter* to, Page page) {
  for (Index i = first(); i < WORDS; i += stride()) to[i] = page.w[i];
}
