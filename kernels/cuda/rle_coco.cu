// COCO's compressed run-length string of packed masks. Runs go down columns, words lie along rows: a word xor the one
// above it marks where runs start in 32 columns at once, so the mask is read in rows, word by word, and only the marks
// are put into column order. One block takes a mask; a thread has one column of words over a strip of rows. It counts
// the starts in each of its 32 columns, which nobody else counts; sums over strips and columns then say where each
// start belongs, and a second walk over the words that have any puts them there. Runs become text by one more sum.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

const int THREADS = 512, WARPS = THREADS / 32, AHEAD = 8, MIN_STRIP_ROWS = 8;
const u32 RUNS = 4;  // that a thread writes between two sums over the block
#ifndef DYN_SMEM
#define DYN_SMEM(T, name) extern __shared__ T name[]
#endif

// Exclusive sum over the block; `total` is that of all threads.
__device__ __forceinline__ u32 sum_before(u32 v, u32* s_warp, u32& total) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  u32 sum = v;
#pragma unroll
  for (int d = 1; d < 32; d <<= 1) {
    const u32 other = __shfl_up_sync(0xffffffffu, sum, d);
    if (lane >= d) sum += other;
  }
  if (lane == 31) s_warp[warp] = sum;
  __syncthreads();
  u32 before = 0;
  total = 0;
#pragma unroll
  for (int i = 0; i < WARPS; i++) {
    const u32 other = s_warp[i];
    if (i < warp) before += other;
    total += other;
  }
  __syncthreads();
  return before + sum - v;
}

// The part of a mask in which runs can start. A run that reaches the last row goes on, or ends, at the top of the next
// column: then row 0 and one more column belong to it.
struct Part {
  const u32* mask;
  int H, W, words, y0, y1, row_count, word0, wide, strips, strip_rows;
  bool wraps;

  __device__ __forceinline__ int row(int r) const { return wraps && y0 > 0 ? (r ? y0 + r - 1 : 0) : y0 + r; }
  __device__ __forceinline__ u32 word(int y, int w) const {
    return y >= y0 && y < y1 ? __ldg(mask + (size_t)y * words + w) : 0u;
  }
  // what comes before the pixels of (y, w): the row above, or for the top row the last row, one column to the left
  __device__ __forceinline__ u32 before(int y, int w) const {
    if (y > 0) return word(y - 1, w);
    const u32 left = w > 0 ? word(H - 1, w - 1) >> 31 : 0u, spare = W & 31;
    const u32 valid = w == words - 1 && spare ? (1u << spare) - 1u : 0xffffffffu;
    return (word(H - 1, w) << 1 | left) & valid;
  }
};

__device__ __forceinline__ Part part_of(const u32* mask, const int* box, int H, int W) {
  Part p;
  p.mask = mask, p.H = H, p.W = W, p.words = (W + 31) >> 5;
  p.y0 = box[1], p.y1 = box[3], p.wraps = p.y1 == H;
  p.row_count = p.wraps ? H - p.y0 + (p.y0 > 0) : p.y1 - p.y0 + 1;
  p.word0 = box[0] >> 5;
  p.wide = (min(p.wraps ? box[2] : box[2] - 1, W - 1) >> 5) - p.word0 + 1;
  p.strips = max(1, min(THREADS / p.wide, p.row_count / MIN_STRIP_ROWS));
  p.strip_rows = (p.row_count + p.strips - 1) / p.strips;
  return p;
}

// Calls found(y, starts) for each row of a strip in which runs start, from top to bottom.
template <typename Found>
__device__ __forceinline__ void walk(const Part& p, int strip, int w, Found found) {
  const int end = min((strip + 1) * p.strip_rows, p.row_count);
  for (int r = strip * p.strip_rows; r < end; r += AHEAD) {
    u32 rows[AHEAD];
#pragma unroll
    for (int k = 0; k < AHEAD; k++) rows[k] = r + k < end ? p.word(p.row(r + k), w) : 0u;
    u32 above = p.before(p.row(r), w);
#pragma unroll
    for (int k = 0; k < AHEAD; k++) {
      const int y = p.row(r + k);
      if (r + k < end && rows[k] != above) found(y, rows[k] ^ above);
      above = rows[k];
    }
  }
}

// Writes where runs start, y + H x, in order, to `starts`; returns how many, also if more than `capacity`.
// s_count: u16 [strips, 32, wide], s_column: u32 [wide, 33].
__device__ __forceinline__ u32 find_starts(const Part& p, u16* s_count, u32* s_column, u32* s_warp, u32* starts,
                                           u32 capacity) {
  const int tid = threadIdx.x, strip = tid / p.wide, w = tid % p.wide, columns = p.wide * 32;
  u16* mine = s_count + strip * columns + w;
  bool any = false;
  if (strip < p.strips) {
    for (int b = 0; b < 32; b++) mine[b * p.wide] = 0;
    walk(p, strip, p.word0 + w, [&](int, u32 marks) {
      any = true;
      for (; marks; marks &= marks - 1) mine[(__ffs(marks) - 1) * p.wide]++;
    });
  }
  __syncthreads();
  for (int c = tid; c < columns; c += THREADS) {
    u32 sum = 0;
    for (int k = 0; k < p.strips; k++) {
      const u32 count = s_count[k * columns + c];
      s_count[k * columns + c] = (u16)sum;
      sum += count;
    }
    s_column[c % p.wide * 33 + c / p.wide] = sum;
  }
  __syncthreads();
  u32 total = 0;
  for (int first = 0; first < columns; first += THREADS) {
    const int c = first + tid, at = (c >> 5) * 33 + (c & 31);
    u32 in_round;
    const u32 sum = sum_before(c < columns ? s_column[at] : 0u, s_warp, in_round);
    if (c < columns) s_column[at] = total + sum;
    total += in_round;
  }
  __syncthreads();
  if (any && total < capacity)
    walk(p, strip, p.word0 + w, [&](int y, u32 marks) {
      for (; marks; marks &= marks - 1) {
        const int b = __ffs(marks) - 1;
        starts[s_column[w * 33 + b] + mine[b * p.wide]++] = (u32)(p.word0 * 32 + w * 32 + b) * (u32)p.H + (u32)y;
      }
    });
  __syncthreads();
  return total;
}

// Groups of five bits, least significant first, in two's complement without repeated sign groups.
__device__ __forceinline__ u32 text_length(int v) { return (u32)(37 - __clz(v < 0 ? ~v : v)) / 5u; }

// What is written for run i: its length, from the fourth on less that of the run two before.
__device__ __forceinline__ int run_value(const u32* starts, u32 i, u32 count, u32 pixels) {
  const auto start = [=](u32 at) { return at < count ? starts[at] : pixels; };
  int v = (int)(start(i) - (i > 0 ? start(i - 1) : 0u));
  if (i > 2) v -= (int)(start(i - 2) - start(i - 3));
  return v;
}

// Bytes of the text, or -1 where it does not fit.
__device__ __forceinline__ int write_text(const u32* starts, u32 count, u32 pixels, u32* s_warp, u8* text,
                                          u32 capacity) {
  u32 bytes = 0;
  for (u32 first = 0; first <= count && bytes <= capacity; first += RUNS * THREADS) {
    const u32 i0 = first + RUNS * threadIdx.x;
    int values[RUNS];
    u32 lengths = 0, in_round;
#pragma unroll
    for (u32 k = 0; k < RUNS; k++) {
      values[k] = i0 + k <= count ? run_value(starts, i0 + k, count, pixels) : 0;
      if (i0 + k <= count) lengths += text_length(values[k]);
    }
    u32 at = bytes + sum_before(lengths, s_warp, in_round);
#pragma unroll
    for (u32 k = 0; k < RUNS; k++) {
      if (i0 + k > count) break;
      int v = values[k];
      const u32 length = text_length(v);
      if (at + length <= capacity)
        for (u32 j = 0; j < length; j++, v >>= 5) text[at + j] = (u8)(48 + (v & 31) + (j + 1 < length ? 32 : 0));
      at += length;
    }
    bytes += in_round;
  }
  return bytes <= capacity ? (int)bytes : -1;
}

extern "C" __global__ void __launch_bounds__(512)
rle_coco(const u32* __restrict__ bits, const int* __restrict__ stats, const int* __restrict__ n_valid,
         u32* __restrict__ scratch, u8* __restrict__ text, int* __restrict__ length, int H, int W, int capacity) {
  DYN_SMEM(u32, shared);
  __shared__ u32 s_warp[WARPS];
  const int n = blockIdx.x;
  if (n >= n_valid[0]) return;
  const int words = (W + 31) >> 5;
  const int* box = stats + 8 * n + 2;
  u32* starts = scratch + (size_t)n * capacity;
  u32 count = 0;
  if (box[2] > box[0]) {
    const Part p = part_of(bits + (size_t)n * H * words, box, H, W);
    count = find_starts(p, (u16*)(shared + 33 * words), shared, s_warp, starts, (u32)capacity);
  }
  // a run takes at least one byte, and there is one more run than starts
  const int bytes = count < (u32)capacity
                        ? write_text(starts, count, (u32)H * (u32)W, s_warp, text + (size_t)n * capacity, (u32)capacity)
                        : -1;
  if (threadIdx.x == 0) length[n] = bytes;
}
