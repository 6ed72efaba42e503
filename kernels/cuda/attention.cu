// Scaled dot-product attention in tiles, without the matrix of all scores.
//
//   S = s Q K^T + M, P = e^(S - top) / sum, Y = P V
//   dP = dY V^T, dS = P (dP - delta), delta = sum over keys of P dP
//   dQ = s dS K, dK = s dS^T Q, dV = P^T dY
//
// A block has 32 queries and goes along the keys, 32 at a time; what has been added up so far is
// scaled anew when a larger score comes (Milakov and Gimelshein 2018; Rabe and Staats 2021). The
// backward finds P again from the top and the sum of each row. For dK and dV a block has 32 keys
// and goes along the queries, so nothing is added by two blocks.
#include "common.cuh"
#include "axes.cuh"

constexpr int TILE = 32;
constexpr int ACROSS = 8;            // threads of a row; each has 4 columns of a tile, 8 apart
constexpr int OWN = TILE / ACROSS;
constexpr int CHUNKS = 4;            // tiles that the rows of Q, K and V are wide at most

typedef REAL Tile[TILE + 1];

struct Scores {
  Index queries, keys, width, out, causal, mask_query, mask_key, unused;
};

struct Mask2 {
  const Mask* seen;
  const REAL* added;
};

DEVICE int row() { return threadIdx.x / ACROSS; }
DEVICE int lane() { return threadIdx.x % ACROSS; }
DEVICE REAL minus_infinity() { return -REAL(1) / REAL(0); }

// The sum and the largest over the threads of a row.
DEVICE REAL row_sum(REAL value) {
  for (int step = ACROSS / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(ALL_LANES, value, step);
  return value;
}
DEVICE REAL row_max(REAL value) {
  for (int step = ACROSS / 2; step > 0; step /= 2) {
    const REAL other = __shfl_xor_sync(ALL_LANES, value, step);
    value = other > value ? other : value;
  }
  return value;
}

// tile = 32 rows of x from `top` on and 32 columns from `side` on, 0 where there are none.
DEVICE void take(const REAL* x, Index top, Index rows, Index side, Index columns, Tile* tile) {
  for (int k = threadIdx.x; k < TILE * TILE; k += THREADS) {
    const int r = k / TILE, c = k % TILE;
    const bool inside = top + r < rows && side + c < columns;
    tile[r][c] = inside ? x[(top + r) * columns + side + c] : REAL(0);
  }
}

// products[i] = row a_top + row() of a times row b_top + lane() + 8 i of b
DEVICE void multiply(const REAL* a, Index a_top, Index a_rows, const REAL* b, Index b_top,
                     Index b_rows, Index width, Tile* left, Tile* right, REAL* products) {
  for (int i = 0; i < OWN; ++i) products[i] = 0;
  for (Index side = 0; side < width; side += TILE) {
    __syncthreads();  // nobody reads the tiles any more
    take(a, a_top, a_rows, side, width, left);
    take(b, b_top, b_rows, side, width, right);
    __syncthreads();  // the tiles are complete
    for (int e = 0; e < TILE; ++e)
      for (int i = 0; i < OWN; ++i)
        products[i] += left[row()][e] * right[lane() + ACROSS * i][e];
  }
}

// sums[chunk][i] += row row() of `weights` times column 32 chunk + lane() + 8 i of b, whose rows from
// b_top on are meant
DEVICE void add_up(Tile* weights, const REAL* b, Index b_top, Index b_rows, Index width, Tile* right,
                   REAL (*sums)[OWN]) {
  for (int chunk = 0; chunk < CHUNKS; ++chunk) {
    if (chunk * TILE >= width) break;
    __syncthreads();  // nobody reads the tile any more, and the weights are complete
    take(b, b_top, b_rows, chunk * TILE, width, right);
    __syncthreads();  // the tile is complete
    for (int k = 0; k < TILE; ++k)
      for (int i = 0; i < OWN; ++i)
        sums[chunk][i] += weights[row()][k] * right[k][lane() + ACROSS * i];
  }
}

DEVICE void write(REAL* y, Index top, Index rows, Index width, REAL (*sums)[OWN], REAL factor) {
  if (top + row() >= rows) return;
  for (int chunk = 0; chunk < CHUNKS; ++chunk)
    for (int i = 0; i < OWN; ++i) {
      const Index column = chunk * TILE + lane() + ACROSS * i;
      if (column < width) y[(top + row()) * width + column] = sums[chunk][i] * factor;
    }
}

// The score of a pair, -infinity where the query does not see the key or there is none.
DEVICE REAL score(const Scores& at, Mask2 mask, Index query, Index key, REAL product, REAL scale) {
  if (query >= at.queries || key >= at.keys || (at.causal && key > query)) return minus_infinity();
  const Index place = query * at.mask_query + key * at.mask_key;
  if (mask.seen != nullptr && !mask.seen[place]) return minus_infinity();
  return mask.added == nullptr ? scale * product : scale * product + mask.added[place];
}

DEVICE Mask2 mask_of(const Mask* seen, const REAL* added, const Lengths& masks, Index item) {
  const Index place = masks.place(item);
  return {seen == nullptr ? nullptr : seen + place, added == nullptr ? nullptr : added + place};
}

// Y, and the top and the sum of each row. A block for 32 queries of an item.
KERNEL attention(const REAL* q, const REAL* k, const REAL* v, const Mask* seen, const REAL* added,
                 REAL* y, REAL* tops, REAL* totals, Scores at, Lengths masks, double scale) {
  __shared__ Tile left[TILE], right[TILE], weights[TILE];
  const Index blocks = (at.queries + TILE - 1) / TILE;
  const Index item = blockIdx.x / blocks, top = blockIdx.x % blocks * TILE;
  q += item * at.queries * at.width, k += item * at.keys * at.width, v += item * at.keys * at.out;
  const Mask2 mask = mask_of(seen, added, masks, item);
  const Index query = top + row();
  REAL sums[CHUNKS][OWN] = {}, most = minus_infinity(), total = 0;
  for (Index start = 0; start < at.keys; start += TILE) {
    if (at.causal && start > top + TILE - 1) break;
    REAL s[OWN], here = minus_infinity();
    multiply(q, top, at.queries, k, start, at.keys, at.width, left, right, s);
    for (int i = 0; i < OWN; ++i) {
      s[i] = score(at, mask, query, start + lane() + ACROSS * i, s[i], REAL(scale));
      here = s[i] > here ? s[i] : here;
    }
    here = row_max(here);
    const REAL now = here > most ? here : most;
    const REAL base = now == minus_infinity() ? REAL(0) : now;
    const REAL kept = most == minus_infinity() ? REAL(0) : exp(most - base);
    REAL some = 0;
    for (int i = 0; i < OWN; ++i) {
      const REAL p = exp(s[i] - base);
      some += p;
      weights[row()][lane() + ACROSS * i] = p;
    }
    total = total * kept + row_sum(some);
    most = now;
    for (int chunk = 0; chunk < CHUNKS; ++chunk)
      for (int i = 0; i < OWN; ++i) sums[chunk][i] *= kept;
    add_up(weights, v, start, at.keys, at.out, right, sums);
  }
  if (total == 0) total = 1;  // of a query that sees no key
  if (query < at.queries && lane() == 0) {
    tops[item * at.queries + query] = most == minus_infinity() ? REAL(0) : most;
    totals[item * at.queries + query] = total;
  }
  write(y + item * at.queries * at.out, top, at.queries, at.out, sums, REAL(1) / total);
}

// What the backward has of a row of queries.
struct Row {
  REAL top, total, delta;
};

DEVICE Row row_at(const REAL* tops, const REAL* totals, const REAL* deltas, Index at, bool inside) {
  if (!inside) return {0, 1, 0};
  return {tops[at], totals[at], deltas == nullptr ? REAL(0) : deltas[at]};
}

// delta = the sum over keys of P dP; blocks as above.
KERNEL attention_deltas(const REAL* q, const REAL* k, const REAL* v, const Mask* seen,
                        const REAL* added, const REAL* tops, const REAL* totals, const REAL* dy,
                        REAL* deltas, Scores at, Lengths masks, double scale) {
  __shared__ Tile left[TILE], right[TILE];
  const Index blocks = (at.queries + TILE - 1) / TILE;
  const Index item = blockIdx.x / blocks, top = blockIdx.x % blocks * TILE;
  q += item * at.queries * at.width, k += item * at.keys * at.width, v += item * at.keys * at.out;
  dy += item * at.queries * at.out;
  const Mask2 mask = mask_of(seen, added, masks, item);
  const Index query = top + row();
  const bool inside = query < at.queries;
  const Row own = row_at(tops, totals, nullptr, item * at.queries + query, inside);
  REAL delta = 0;
  for (Index start = 0; start < at.keys; start += TILE) {
    if (at.causal && start > top + TILE - 1) break;
    REAL s[OWN], dp[OWN];
    multiply(q, top, at.queries, k, start, at.keys, at.width, left, right, s);
    multiply(dy, top, at.queries, v, start, at.keys, at.out, left, right, dp);
    for (int i = 0; i < OWN; ++i) {
      const REAL here = score(at, mask, query, start + lane() + ACROSS * i, s[i], REAL(scale));
      delta += exp(here - own.top) / own.total * dp[i];
    }
  }
  delta = row_sum(delta);
  if (inside && lane() == 0) deltas[item * at.queries + query] = delta;
}

// dQ, and dS unless it is null; blocks as above.
KERNEL attention_queries_backward(const REAL* q, const REAL* k, const REAL* v, const Mask* seen,
                                  const REAL* added, const REAL* tops, const REAL* totals,
                                  const REAL* dy, const REAL* deltas, REAL* dq, REAL* ds,
                                  Scores at, Lengths masks, double scale) {
  __shared__ Tile left[TILE], right[TILE], weights[TILE];
  const Index blocks = (at.queries + TILE - 1) / TILE;
  const Index item = blockIdx.x / blocks, top = blockIdx.x % blocks * TILE;
  q += item * at.queries * at.width, k += item * at.keys * at.width, v += item * at.keys * at.out;
  dy += item * at.queries * at.out;
  const Mask2 mask = mask_of(seen, added, masks, item);
  const Index query = top + row(), number = item * at.queries + query;
  const bool inside = query < at.queries;
  const Row own = row_at(tops, totals, deltas, number, inside);
  REAL sums[CHUNKS][OWN] = {};
  for (Index start = 0; start < at.keys; start += TILE) {
    if (at.causal && start > top + TILE - 1) break;
    REAL s[OWN], dp[OWN];
    multiply(q, top, at.queries, k, start, at.keys, at.width, left, right, s);
    multiply(dy, top, at.queries, v, start, at.keys, at.out, left, right, dp);
    for (int i = 0; i < OWN; ++i) {
      const Index key = start + lane() + ACROSS * i;
      const REAL here = score(at, mask, query, key, s[i], REAL(scale));
      const REAL d = exp(here - own.top) / own.total * (dp[i] - own.delta);
      weights[row()][lane() + ACROSS * i] = d;
      if (ds != nullptr && inside && key < at.keys) ds[number * at.keys + key] = d;
    }
    add_up(weights, k, start, at.keys, at.width, right, sums);
  }
  if (dq != nullptr)
    write(dq + item * at.queries * at.width, top, at.queries, at.width, sums, REAL(scale));
}

// dK and dV, either of which may be null. A block for 32 keys of an item.
KERNEL attention_keys_backward(const REAL* q, const REAL* k, const REAL* v, const Mask* seen,
                               const REAL* added, const REAL* tops, const REAL* totals,
                               const REAL* dy, const REAL* deltas, REAL* dk, REAL* dv, Scores at,
                               Lengths masks, double scale) {
  __shared__ Tile left[TILE], right[TILE], weights[TILE];
  const Index blocks = (at.keys + TILE - 1) / TILE;
  const Index item = blockIdx.x / blocks, top = blockIdx.x % blocks * TILE;
  q += item * at.queries * at.width, k += item * at.keys * at.width, v += item * at.keys * at.out;
  dy += item * at.queries * at.out;
  const Mask2 mask = mask_of(seen, added, masks, item);
  const Index key = top + row();
  REAL of_k[CHUNKS][OWN] = {}, of_v[CHUNKS][OWN] = {};
  // With a causal mask the queries before the keys do not see them.
  for (Index start = at.causal ? top : 0; start < at.queries; start += TILE) {
    REAL s[OWN], dp[OWN];
    multiply(k, top, at.keys, q, start, at.queries, at.width, left, right, s);
    multiply(v, top, at.keys, dy, start, at.queries, at.out, left, right, dp);
    for (int i = 0; i < OWN; ++i) {
      const Index query = start + lane() + ACROSS * i;
      const bool inside = query < at.queries;
      const Row other = row_at(tops, totals, deltas, item * at.queries + query, inside);
      const REAL here = score(at, mask, query, key, s[i], REAL(scale));
      const REAL p = exp(here - other.top) / other.total;
      weights[row()][lane() + ACROSS * i] = p;
      s[i] = p * (dp[i] - other.delta);
    }
    if (dv != nullptr) add_up(weights, dy, start, at.queries, at.out, right, of_v);
    if (dk == nullptr) continue;
    __syncthreads();  // nobody reads the weights any more
    for (int i = 0; i < OWN; ++i) weights[row()][lane() + ACROSS * i] = s[i];
    add_up(weights, q, start, at.queries, at.width, right, of_k);
  }
  if (dk != nullptr)
    write(dk + item * at.keys * at.width, top, at.keys, at.width, of_k, REAL(scale));
  if (dv != nullptr) write(dv + item * at.keys * at.out, top, at.keys, at.out, of_v, REAL(1));
}
