// Low-resolution logits to clean masks: threshold with hysteresis, fill small holes, drop small specks; packed bits,
// statistics and corrected logits. One block per object; everything between input and output is in shared memory.
//
// Components are 8-connected and labelled by union-find over 2x2 pixel blocks (Playne and Hawick's atomic hooking,
// on the blocks of Grana et al.: set pixels of one 2x2 block are always connected). A strip is 2 rows of one word, thus
// 16 blocks in a row, and belongs to one thread; bit operations find the runs of connected blocks inside a strip and
// leave out unions that follow from others, so that a solid region costs one union per run and row.
//
// A label is the index of a 2x2 block, below 2^15. The upper bit of a cell marks a root that holds its component's
// pixel count, so counts need no memory of their own. They saturate just above the limit, which also ends the
// contention for a large component's counter early.
#ifndef DYN_SMEM
#define DYN_SMEM(T, name) extern __shared__ __align__(16) T name[]
#endif
typedef unsigned int u32;
typedef unsigned short u16;

constexpr int kSide = 288, kWords = kSide / 32, kPlaneWords = kSide * kWords;
constexpr int kStrips = kPlaneWords / 2, kStripBlocks = 16, kRowBlocks = kSide / 2, kBlocks = kStrips * kStripBlocks;
constexpr int kQuads = kSide * kSide / 4, kWarpLoads = kQuads / 32, kBatch = 3;
constexpr u32 kAll = 0xffffffffu, kEven = 0x55555555u, kCounted = 0x8000u;
static_assert(kBlocks < 0x8000, "a label and the mark fit into 16 bits");

enum Statistic { kRawArea, kCleanArea, kLeft, kTop, kRight, kBottom, kHigh, kLow, kStatistics };

struct Strip {
  u32 top, bottom;  // pixels of the two rows
};

__device__ __forceinline__ Strip strip_of(const u32* plane, int strip, u32 flip) {
  const int first = strip / kWords * 2 * kWords + strip % kWords;
  return {plane[first] ^ flip, plane[first + kWords] ^ flip};
}

// At bit 2k: block k of the strip is connected to block k-1.
__device__ __forceinline__ u32 links(Strip s) {
  const u32 columns = s.top | s.bottom;
  return columns & (columns << 1) & kEven;
}

// At bit 2k: block k is not empty and starts a run.
__device__ __forceinline__ u32 run_starts(Strip s) {
  const u32 columns = s.top | s.bottom;
  return (columns | (columns >> 1)) & kEven & ~links(s);
}

// The pixel columns of the run that starts at bit `start`.
__device__ __forceinline__ u32 run_columns(u32 linked, int start) {
  const u32 from_start = kAll << start;
  const u32 ends = ~linked & kEven & from_start & ~(1u << start);
  return from_start & (ends ? (ends & (0u - ends)) - 1u : kAll);
}

__device__ __forceinline__ u32 find(const volatile u16* parent, u32 label) {
  u32 above = parent[label];
  while (above != label) {
    label = above;
    above = parent[label];
  }
  return label;
}

__device__ __forceinline__ void unite(u16* parent, u32 a, u32 b) {
  for (;;) {
    a = find(parent, a);
    b = find(parent, b);
    if (a == b) return;
    if (a < b) {
      const u32 t = a;
      a = b;
      b = t;
    }
    const u32 old = atomicCAS(&parent[a], (u16)a, (u16)b);
    if (old == a) return;
    a = old;  // another thread hooked this root first
  }
}

// Every block points at the start of its run. A strip's 16 labels are stored as two vectors, since single ones of a
// warp's strips would lie in four banks.
__device__ void start_runs(const u32* plane, u32 flip, u16* parent) {
  for (int strip = threadIdx.x; strip < kStrips; strip += blockDim.x) {
    const u32 linked = links(strip_of(plane, strip, flip)), first = strip * kStripBlocks;
    u32 start = first, pairs[kStripBlocks / 2];
#pragma unroll
    for (int k = 0; k < kStripBlocks; k++) {
      if (!(linked >> (2 * k) & 1u)) start = first + k;
      pairs[k / 2] = k % 2 ? pairs[k / 2] | start << 16 : start;
    }
    uint4* labels = reinterpret_cast<uint4*>(parent + first);
    labels[0] = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    labels[1] = make_uint4(pairs[4], pairs[5], pairs[6], pairs[7]);
  }
}

__device__ __forceinline__ void unite_all(u16* parent, u32 blocks, u32 label, int offset) {
  for (; blocks; blocks &= blocks - 1u) {
    const u32 from = label + ((u32)(__ffs(blocks) - 1) >> 1);
    unite(parent, from, from + offset);
  }
}

__device__ void unite_runs(const u32* plane, u32 flip, u16* parent) {
  for (int strip = threadIdx.x; strip < kStrips; strip += blockDim.x) {
    const Strip here = strip_of(plane, strip, flip);
    const u32 label = strip * kStripBlocks, linked = links(here);
    const bool has_left = strip % kWords > 0, has_right = strip % kWords < kWords - 1;
    if (has_left && ((here.top | here.bottom) & 1u)) {
      const Strip left = strip_of(plane, strip - 1, flip);
      if ((left.top | left.bottom) >> 31) unite(parent, label, label - 1);
    }
    if (strip < kWords) continue;
    const Strip above = strip_of(plane, strip - kWords, flip);
    const u32 t = here.top, b = above.bottom, linked_above = links(above);
    const u32 b_left = has_left ? strip_of(plane, strip - kWords - 1, flip).bottom >> 31 : 0u;
    const u32 b_right = has_right ? strip_of(plane, strip - kWords + 1, flip).bottom << 31 : 0u;
    const u32 up = (t | (t >> 1)) & (b | (b >> 1)) & kEven;
    const u32 up_left = t & ((b << 1) | b_left) & kEven;
    const u32 up_right = (t >> 1) & ((b >> 2) | (b_right >> 1)) & kEven;
    // What two links and another union already connect is left out.
    const u32 by_left = linked & (up << 2), by_right = (linked >> 2) & (up >> 2);
    unite_all(parent, up & ~(by_left & linked_above), label, -kRowBlocks);
    unite_all(parent, up_left & ~(by_left | (up & linked_above)), label, -kRowBlocks - 1);
    unite_all(parent, up_right & ~(by_right | (up & (linked_above >> 2))), label, -kRowBlocks + 1);
  }
}

__device__ __forceinline__ u32 counted_root(const volatile u16* parent, u32 label) {
  u32 cell = parent[label];
  while (!(cell & kCounted) && cell != label) {
    label = cell;
    cell = parent[label];
  }
  return label;
}

__device__ __forceinline__ void add_saturating(u16* cell, u32 pixels, u32 ceiling) {
  u32 seen = *(volatile u16*)cell;
  for (;;) {
    const u32 have = seen & kCounted ? seen ^ kCounted : 0u;
    if (have >= ceiling) return;
    const u32 old = atomicCAS(cell, (u16)seen, (u16)(kCounted | min(have + pixels, ceiling)));
    if (old == seen) return;
    seen = old;
  }
}

__device__ void count_pixels(const u32* plane, u32 flip, u16* parent, u32 ceiling) {
  for (int strip = threadIdx.x; strip < kStrips; strip += blockDim.x) {
    const Strip here = strip_of(plane, strip, flip);
    const u32 linked = links(here);
    for (u32 starts = run_starts(here); starts; starts &= starts - 1u) {
      const int bit = __ffs(starts) - 1;
      const u32 columns = run_columns(linked, bit), label = strip * kStripBlocks + (bit >> 1);
      const u32 root = counted_root(parent, label);
      add_saturating(&parent[root], __popc(here.top & columns) + __popc(here.bottom & columns), ceiling);
      if (root != label) *(volatile u16*)&parent[label] = (u16)root;
    }
  }
}

// Flips, in this thread's strips, the components of at most `limit` pixels. Returns how many pixels that were.
__device__ int flip_small(u32* plane, u32 flip, const u16* parent, u32 limit) {
  int flipped = 0;
  for (int strip = threadIdx.x; strip < kStrips; strip += blockDim.x) {
    const Strip here = strip_of(plane, strip, flip);
    const u32 linked = links(here);
    u32 small = 0;
    for (u32 starts = run_starts(here); starts; starts &= starts - 1u) {
      const int bit = __ffs(starts) - 1;
      const u32 cell = parent[strip * kStripBlocks + (bit >> 1)];
      const u32 count = (cell & kCounted ? cell : parent[cell]) ^ kCounted;
      if (count <= limit) small |= run_columns(linked, bit);
    }
    if (!small) continue;
    const int first = strip / kWords * 2 * kWords + strip % kWords;
    plane[first] ^= here.top & small;
    plane[first + kWords] ^= here.bottom & small;
    flipped += __popc(here.top & small) + __popc(here.bottom & small);
  }
  return flipped;
}

// Labels the set pixels of `plane ^ flip` and counts each component up to `ceiling`.
__device__ void label_components(const u32* plane, u32 flip, u16* parent, u32 ceiling) {
  start_runs(plane, flip, parent);
  __syncthreads();
  unite_runs(plane, flip, parent);
  __syncthreads();
  count_pixels(plane, flip, parent, ceiling);
  __syncthreads();
}

__device__ __forceinline__ float4 load_quad(const float* logits, int quad) {
  return reinterpret_cast<const float4*>(logits)[quad];
}
__device__ __forceinline__ float4 load_quad(const u16* logits, int quad) {  // bfloat16 is the upper half of a float
  const ushort4 q = reinterpret_cast<const ushort4*>(logits)[quad];
  return make_float4(__uint_as_float((u32)q.x << 16), __uint_as_float((u32)q.y << 16),
                     __uint_as_float((u32)q.z << 16), __uint_as_float((u32)q.w << 16));
}

__device__ __forceinline__ u32 above(float4 v, float4 t) {
  return (v.x > t.x) | (v.y > t.y) << 1 | (v.z > t.z) << 2 | (v.w > t.w) << 3;
}
__device__ __forceinline__ float4 all(float t) { return make_float4(t, t, t, t); }

__device__ __forceinline__ int warp_sum(int v) {
  for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(kAll, v, d);
  return v;
}

template <typename T>
__device__ void threshold(const T* __restrict__ logits, const u32* previous, u32* plane, int* statistics,
                          float hysteresis, float delta) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5, shift = (lane & 7) * 4;
  int raw = 0, high = 0, low = 0;
  for (int first = warp; first < kWarpLoads; first += kBatch * warps) {
    float4 quads[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; i++)  // all loads are on their way before the first is used
      if (first + i * warps < kWarpLoads) quads[i] = load_quad(logits, (first + i * warps) * 32 + lane);
#pragma unroll
    for (int i = 0; i < kBatch; i++) {
      if (first + i * warps >= kWarpLoads) break;
      const int word = (first + i * warps) * 4 + (lane >> 3);
      const u32 was = previous ? previous[word] >> shift : 0u;
      const u32 on = above(quads[i], make_float4(was & 1u ? -hysteresis : 0.f, was & 2u ? -hysteresis : 0.f,
                                                 was & 4u ? -hysteresis : 0.f, was & 8u ? -hysteresis : 0.f));
      raw += __popc(on);
      high += __popc(above(quads[i], all(delta)));
      low += __popc(above(quads[i], all(-delta)));
      u32 bits = on << shift;
      for (int d = 1; d < 8; d <<= 1) bits |= __shfl_xor_sync(kAll, bits, d);
      if ((lane & 7) == 0) plane[word] = bits;
    }
  }
  raw = warp_sum(raw);
  high = warp_sum(high);
  low = warp_sum(low);
  if (lane == 0) {
    atomicAdd(&statistics[kRawArea], raw);
    atomicAdd(&statistics[kHigh], high);
    atomicAdd(&statistics[kLow], low);
  }
}

__device__ void measure_box(const u32* plane, int* statistics) {
  int left = kSide, top = kSide, right = 0, bottom = 0;
  for (int word = threadIdx.x; word < kPlaneWords; word += blockDim.x) {
    const u32 bits = plane[word];
    if (!bits) continue;
    const int y = word / kWords, x = word % kWords * 32;
    left = min(left, x + __ffs(bits) - 1);
    right = max(right, x + 32 - __clz(bits));
    top = min(top, y);
    bottom = max(bottom, y + 1);
  }
  if (right == 0) return;
  atomicMin(&statistics[kLeft], left);
  atomicMin(&statistics[kTop], top);
  atomicMax(&statistics[kRight], right);
  atomicMax(&statistics[kBottom], bottom);
}

__device__ __forceinline__ float corrected(float v, u32 on) { return on ? (v > 0.f ? v : 0.1f) : (v > 0.f ? -0.1f : v); }

template <typename T>
__device__ void correct_logits(const T* __restrict__ logits, const u32* plane, float* __restrict__ out) {
  for (int quad = threadIdx.x; quad < kQuads; quad += blockDim.x) {
    const float4 v = load_quad(logits, quad);
    const u32 on = plane[quad >> 3] >> ((quad & 7) * 4);
    reinterpret_cast<float4*>(out)[quad] = make_float4(corrected(v.x, on & 1u), corrected(v.y, on & 2u),
                                                       corrected(v.z, on & 4u), corrected(v.w, on & 8u));
  }
}

template <typename T>
__device__ __forceinline__ void clean(const T* logits, const u32* previous, const int* n_valid, u32* bits, int* stats,
                                      float* logits_out, int max_hole, int max_speck, float hysteresis, float delta) {
  DYN_SMEM(u32, plane);
  u16* parent = reinterpret_cast<u16*>(plane + kPlaneWords);
  __shared__ int statistics[kStatistics];
  const int n = blockIdx.x, tid = threadIdx.x, lane = tid & 31;
  if (n >= *n_valid) return;
  const size_t pixels = (size_t)n * kSide * kSide, words = (size_t)n * kPlaneWords;
  if (tid < kStatistics) statistics[tid] = tid == kLeft || tid == kTop ? kSide : 0;
  __syncthreads();
  threshold(logits + pixels, previous ? previous + words : nullptr, plane, statistics, hysteresis, delta);
  __syncthreads();

  label_components(plane, kAll, parent, max_hole + 1);
  const int filled = warp_sum(flip_small(plane, kAll, parent, max_hole));
  if (lane == 0) atomicAdd(&statistics[kCleanArea], filled);
  __syncthreads();

  const int area = statistics[kRawArea] + statistics[kCleanArea];
  const int limit = min(max_speck, area / 2);
  label_components(plane, 0u, parent, limit + 1);
  const int dropped = warp_sum(flip_small(plane, 0u, parent, limit));
  if (lane == 0) atomicSub(&statistics[kCleanArea], dropped);
  __syncthreads();

  measure_box(plane, statistics);
  for (int word = tid; word < kPlaneWords; word += blockDim.x) bits[words + word] = plane[word];
  if (logits_out) correct_logits(logits + pixels, plane, logits_out + pixels);
  __syncthreads();
  if (tid < kStatistics) {
    const bool empty = statistics[kRight] == 0;
    int value = statistics[tid];
    if (tid == kCleanArea) value += statistics[kRawArea];
    if (empty && (tid == kLeft || tid == kTop)) value = 0;
    stats[n * kStatistics + tid] = value;
  }
}

extern "C" __global__ void __launch_bounds__(1024, 1)
clean_masks_f32(const float* logits, const u32* previous, const int* n_valid, u32* bits, int* stats, float* logits_out,
                int max_hole, int max_speck, float hysteresis, float delta) {
  clean(logits, previous, n_valid, bits, stats, logits_out, max_hole, max_speck, hysteresis, delta);
}

extern "C" __global__ void __launch_bounds__(1024, 1)
clean_masks_bf16(const u16* logits, const u32* previous, const int* n_valid, u32* bits, int* stats, float* logits_out,
                 int max_hole, int max_speck, float hysteresis, float delta) {
  clean(logits, previous, n_valid, bits, stats, logits_out, max_hole, max_speck, hysteresis, delta);
}
