// Dropout from counter-based random numbers: those of nnscratch.array.philox, bit for bit.
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011) turns a counter and a key into four words. The
// key is the seed, the counter the number of a block of four; number i is word i % 4 of block
// i / 4, so any thread can make any number.
#include "common.cuh"

struct Words {
  Word w[4];
};

DEVICE Words philox(Counter block, Counter seed) {
  Word c0 = static_cast<Word>(block), c1 = static_cast<Word>(block >> 32), c2 = 0, c3 = 0;
  Word k0 = static_cast<Word>(seed), k1 = static_cast<Word>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Counter p0 = static_cast<Counter>(c0) * 0xD2511F53u;
    const Counter p1 = static_cast<Counter>(c2) * 0xCD9E8D57u;
    c0 = static_cast<Word>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<Word>(p1);
    c2 = static_cast<Word>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<Word>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return Words{{c0, c1, c2, c3}};
}

// A float in [0, 1) of 24 bits, whatever REAL is: one seed drops the same entries in every dtype.
DEVICE float uniform(Word word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

// words[4 i ...] = the four words of block first_block + i
KERNEL philox_words(Word* words, Index blocks, Counter seed, Counter first_block) {
  for (Index i = first(); i < blocks; i += stride()) {
    const Words made = philox(first_block + static_cast<Counter>(i), seed);
    for (int k = 0; k < 4; ++k) words[4 * i + k] = made.w[k];
  }
}

// kept = u >= p, y = x scale where kept, else 0. A thread takes the four elements of a block of
// the counter.
KERNEL dropout(const REAL* x, REAL* y, Mask* kept, Index n, double p, double scale,
               LateCounter late_seed, LateCounter late_offset) {
  const Counter seed = late_seed(), offset = late_offset();
  const float limit = static_cast<float>(p);
  const bool packed = aligned(x) && aligned(y);
  for (Index block = first(); 4 * block < n; block += stride()) {
    const Words made = philox(offset + static_cast<Counter>(block), seed);
    const Index start = 4 * block;
    if (packed && start + 4 <= n) {
      for (int half = 0; half < 4 / WIDTH; ++half) {
        const Index pack = start / WIDTH + half;
        Pack values = load(x, pack);
        for (int k = 0; k < WIDTH; ++k) {
          const bool keep = uniform(made.w[half * WIDTH + k]) >= limit;
          kept[pack * WIDTH + k] = keep;
          values.v[k] = keep ? values.v[k] * REAL(scale) : REAL(0);
        }
        store(y, pack, values);
      }
    } else {
      for (int k = 0; k < 4 && start + k < n; ++k) {
        const bool keep = uniform(made.w[k]) >= limit;
        kept[start + k] = keep;
        y[start + k] = keep ? x[start + k] * REAL(scale) : REAL(0);
      }
    }
  }
}

// dx = dy scale where kept, else 0
KERNEL dropout_backward(const REAL* dy, const Mask* kept, REAL* dx, Index n, double scale) {
  sweep(
      n, aligned(dy) && aligned(dx),
      [=](Index j) {
        Pack pack = load(dy, j);
        for (int k = 0; k < WIDTH; ++k)
          pack.v[k] = kept[j * WIDTH + k] ? pack.v[k] * REAL(scale) : REAL(0);
        store(dx, j, pack);
      },
      [=](Index i) { dx[i] = kept[i] ? dy[i] * REAL(scale) : REAL(0); });
}
