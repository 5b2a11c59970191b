// Low-resolution logits to the owner of every video pixel, packed masks on request, and each mask's area, box and sums
// of coordinates, in one launch. One block takes a tile of 128 x 16 pixels of one owner map: it lists the objects whose
// low-resolution box reaches the tile, then each warp walks that list for its own 32 x 8 pixels.
//
// Only the sign of a bilinear value counts, so a warp stops early where all its horizontal interpolations agree.
// Statistics go through a workspace that is zero between launches: every field there grows from zero, by addition or
// maximum, so that nothing has to be set up before. The last block to finish turns it into the result and zeroes it.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

const int TILE_WORDS = 4, TILE_ROWS = 16, WARPS = 8, WARP_ROWS = 8, THREADS = 256;
const int SLOTS = 2 * WARP_ROWS;  // low-resolution rows that a warp's rows may need
const int BATCH = WARPS;          // objects between two barriers; each warp then measures one
const int ROW_GROUPS = TILE_ROWS / WARP_ROWS;
const int NONE = -1, FAR = 0x7fffffff;
const float TINY = 1e-30f, HUGE_LOGIT = 1e30f;  // between them no rounding changes the sign of an interpolation

__device__ __forceinline__ float widen(float v) { return v; }
__device__ __forceinline__ float widen(u16 bfloat16) { return __uint_as_float((u32)bfloat16 << 16); }

// Half-pixel centres, as align_corners=False: between which two samples a pixel lies, and how far. One fused operation,
// as compilers make of it in torch, so that positions are the same to the bit.
struct Tap { int low, high; float fraction; };
__device__ __forceinline__ Tap tap(int i, float scale, int size) {
  float at = fmaxf(__fmaf_rn(scale, (float)i + 0.5f, -0.5f), 0.f);
  int low = min((int)at, size - 1);
  return {low, min(low + 1, size - 1), at - (float)low};
}

template <typename T, typename O>
struct Job {
  const T* logits; const int* low_stats; const int* order; const int* group; const int* n_valid;
  O* owner; u32* bits; int* stats; u64* moments; u32* workspace;
  int capacity, groups, h, w, H, W;
  float sy, sx;
  __device__ __forceinline__ int words() const { return (W + 31) >> 5; }
  // workspace: ticket and padding, sums of x and y, then area, W - x0, H - y0, x1, y1 and three unused
  __device__ __forceinline__ u64* sums(int n) const { return (u64*)(workspace + 4) + 2 * n; }
  __device__ __forceinline__ int* extent(int n) const { return (int*)(workspace + 4 + 4 * capacity) + 8 * n; }
};

struct Window { int first, last; };
struct alignas(8) RowPlan { float fraction; u16 top, bottom; };

struct Shared {
  Window columns[TILE_WORDS], rows[ROW_GROUPS];
  int hit[THREADS];    // object << 9 | drawn << 8 | which warps' pixels its box reaches
  int blank[THREADS];  // objects of this block that do not reach the tile
  int count[WARPS];
  int row[WARPS][SLOTS];
  RowPlan plan[WARPS][WARP_ROWS];
  float across[WARPS][SLOTS][32];  // interpolated along x; each lane reads only what it wrote
  u32 bits[2][BATCH][TILE_ROWS][TILE_WORDS];
  bool last;
};

// What a thread keeps about its column of WARP_ROWS pixels.
struct Column { int low, high, slots; u32 valid; float fraction; };

// Lists the distinct low-resolution rows of the warp's pixel rows, in order, since consecutive pixel rows share most;
// and for each pixel row where its two are in that list. In shared memory, where it costs no registers.
template <typename J>
__device__ __forceinline__ Column plan_rows(const J& job, Shared& s, int X0, int Y0) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  int slots = 0, last = NONE, before = NONE;
#pragma unroll
  for (int i = 0; i < WARP_ROWS; i++) {
    const Tap y = tap(min(Y0 + i, job.H - 1), job.sy, job.h);
    if (y.low != before && y.low != last) {
      before = last, last = y.low;
      if (lane == 0) s.row[warp][slots] = last * job.w;
      slots++;
    }
    const int top = y.low == last ? slots - 1 : slots - 2;
    if (y.high != last) {
      before = last, last = y.high;
      if (lane == 0) s.row[warp][slots] = last * job.w;
      slots++;
    }
    if (lane == 0) s.plan[warp][i] = {y.fraction, (u16)top, (u16)(slots - 1)};
  }
  const Tap x = tap(min(X0 + lane, job.W - 1), job.sx, job.w);
  return {x.low, x.high, slots, __ballot_sync(0xffffffffu, X0 + lane < job.W), x.fraction};
}

// The samples that the tile's words and row groups read: what lies outside of the picture reads none.
template <typename J>
__device__ __forceinline__ void find_windows(const J& job, Shared& s, int word0, int Y0) {
  const int i = threadIdx.x;
  if (i < TILE_WORDS) {
    const int from = (word0 + i) * 32, to = min(from + 31, job.W - 1);
    s.columns[i] = from < job.W ? Window{tap(from, job.sx, job.w).low, tap(to, job.sx, job.w).high} : Window{FAR, NONE};
  } else if (i < TILE_WORDS + ROW_GROUPS) {
    const int from = Y0 + (i - TILE_WORDS) * WARP_ROWS, to = min(from + WARP_ROWS - 1, job.H - 1);
    s.rows[i - TILE_WORDS] =
        from < job.H ? Window{tap(from, job.sy, job.h).low, tap(to, job.sy, job.h).high} : Window{FAR, NONE};
  }
}

// Which warps' pixels can be positive: those whose samples reach the half-open box of the object's positive samples.
__device__ __forceinline__ u32 reached(const Shared& s, const int* box) {
  const int x0 = box[0], y0 = box[1], x1 = box[2], y1 = box[3];
  if (x1 <= x0 || y1 <= y0) return 0;
  u32 columns = 0, warps = 0;
#pragma unroll
  for (int i = 0; i < TILE_WORDS; i++) columns |= (u32)(s.columns[i].first < x1 && s.columns[i].last >= x0) << i;
#pragma unroll
  for (int i = 0; i < ROW_GROUPS; i++)
    if (s.rows[i].first < y1 && s.rows[i].last >= y0) warps |= columns << (TILE_WORDS * i);
  return warps;
}

// One round of up to THREADS objects in drawing order; returns how many of them are in `hit`.
template <typename J>
__device__ __forceinline__ int list_hits(const J& job, Shared& s, int base, int n_valid) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, k = base + (int)threadIdx.x, map = (int)blockIdx.z;
  int n = k < n_valid ? job.order[k] : NONE;
  if (n >= n_valid) n = NONE;
  const int group = n >= 0 && job.group ? job.group[n] : 0;
  const bool drawn = group == map, nowhere = map == 0 && (group < 0 || group >= job.groups);
  if (!drawn && !nowhere) n = NONE;
  const u32 warps = n >= 0 ? reached(s, job.low_stats + 8 * n + 2) : 0;
  const u32 hits = __ballot_sync(0xffffffffu, warps != 0);
  if (lane == 0) s.count[warp] = __popc(hits);
  __syncthreads();
  int at = __popc(hits & ((1u << lane) - 1u)), total = 0;
#pragma unroll
  for (int i = 0; i < WARPS; i++) {
    if (i < warp) at += s.count[i];
    total += s.count[i];
  }
  if (warps) s.hit[at] = n << 9 | (int)drawn << 8 | (int)warps;
  s.blank[threadIdx.x] = warps ? NONE : n;
  __syncthreads();
  return total;
}

// The warp's rows of one object: lane i returns the word of row i. `own` takes the first object that covers a pixel.
template <typename J>
__device__ __forceinline__ u32 cover(const J& job, Shared& s, const Column& c, int n, int id, int (&own)[WARP_ROWS]) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const auto* mask = job.logits + (size_t)n * job.h * job.w;
  bool any = false, all = true;
#pragma unroll 4
  for (int i = 0; i < c.slots; i++) {
    const auto* row = mask + s.row[warp][i];
    const float v = (1.f - c.fraction) * widen(__ldg(row + c.low)) + c.fraction * widen(__ldg(row + c.high));
    s.across[warp][i][lane] = v;
    any |= v > 0.f;
    all &= v > TINY && v < HUGE_LOGIT;
  }
  if (!__any_sync(0xffffffffu, any)) return 0;
  if (__all_sync(0xffffffffu, all)) {
#pragma unroll
    for (int i = 0; i < WARP_ROWS; i++) own[i] = own[i] ? own[i] : id;
    return c.valid;
  }
  u32 word = 0;
#pragma unroll
  for (int i = 0; i < WARP_ROWS; i++) {
    const RowPlan plan = s.plan[warp][i];
    const float top = s.across[warp][plan.top][lane], bottom = s.across[warp][plan.bottom][lane];
    const bool on = (1.f - plan.fraction) * top + plan.fraction * bottom > 0.f;
    const u32 row = __ballot_sync(0xffffffffu, on) & c.valid;
    own[i] = on && !own[i] ? id : own[i];
    word = lane == i ? row : word;
  }
  return word;
}

// Two words of a tile row: each lane of a warp has half a row of TILE_WORDS words.
template <typename J>
__device__ __forceinline__ void store_bits(const J& job, int n, int word0, int Y0, u32 a, u32 b) {
  const int lane = threadIdx.x & 31, y = Y0 + (lane >> 1), word = word0 + 2 * (lane & 1), left = job.words() - word;
  if (y >= job.H || left <= 0) return;
  u32* to = job.bits + ((size_t)n * job.H + y) * job.words() + word;
  if ((job.words() & 1) == 0 && ((size_t)job.bits & 7) == 0) {
    *(uint2*)to = make_uint2(a, b);
  } else {
    to[0] = a;
    if (left > 1) to[1] = b;
  }
}

__device__ __forceinline__ int index_sum(u32 b) {  // of the positions of the set bits
  return __popc(b & 0xaaaaaaaau) + 2 * __popc(b & 0xccccccccu) + 4 * __popc(b & 0xf0f0f0f0u) +
         8 * __popc(b & 0xff00ff00u) + 16 * __popc(b & 0xffff0000u);
}

// One warp adds the tile's part of one object to the workspace.
template <typename J>
__device__ __forceinline__ void measure(const J& job, int n, int word0, int Y0, u32 a, u32 b) {
  const int lane = threadIdx.x & 31, row = lane >> 1, x = 64 * (lane & 1);
  const u32 rows = __ballot_sync(0xffffffffu, (a | b) != 0);
  if (!rows) return;
  const int count = __popc(a) + __popc(b);
  u32 area_and_x = (u32)count | (u32)(index_sum(a) + index_sum(b) + 32 * __popc(b) + x * count) << 12;  // area <= 2048
  u32 sum_y = (u32)(count * row);
#pragma unroll
  for (int d = 16; d; d >>= 1) {
    area_and_x += __shfl_xor_sync(0xffffffffu, area_and_x, d);
    sum_y += __shfl_xor_sync(0xffffffffu, sum_y, d);
    if (d > 1) {
      a |= __shfl_xor_sync(0xffffffffu, a, d);
      b |= __shfl_xor_sync(0xffffffffu, b, d);
    }
  }
  const int first = a ? x + __ffs(a) - 1 : b ? x + 31 + __ffs(b) : 32 * TILE_WORDS;
  const int end = b ? x + 64 - __clz(b) : a ? x + 32 - __clz(a) : 0;
  const int x0 = min(first, __shfl_xor_sync(0xffffffffu, first, 1));
  const int x1 = max(end, __shfl_xor_sync(0xffffffffu, end, 1));
  const int y0 = (__ffs(rows) - 1) >> 1, y1 = ((31 - __clz(rows)) >> 1) + 1;
  const u32 area = area_and_x & 4095u;
  const int X0 = 32 * word0;
  if (lane == 0) atomicAdd(job.extent(n), (int)area);
  if (lane >= 1 && lane <= 4) {
    const int value = lane == 1 ? job.W - (X0 + x0) : lane == 2 ? job.H - (Y0 + y0) : lane == 3 ? X0 + x1 : Y0 + y1;
    atomicMax(job.extent(n) + lane, value);
  }
  if (lane == 5) atomicAdd(job.sums(n), (u64)(area_and_x >> 12) + (u64)X0 * area);
  if (lane == 6) atomicAdd(job.sums(n) + 1, (u64)sum_y + (u64)Y0 * area);
}

// The last block of all turns the workspace into the result.
template <typename J>
__device__ __forceinline__ void finish(const J& job, Shared& s, int n_valid) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0)
    s.last = atomicAdd(job.workspace, 1u) == gridDim.x * gridDim.y * gridDim.z - 1u;
  __syncthreads();
  if (!s.last) return;
  __threadfence();
  for (int n = threadIdx.x; n < n_valid; n += THREADS) {
    int* from = job.extent(n);
    int* to = job.stats + 8 * n;
    const int area = atomicExch(from, 0), left = atomicExch(from + 1, 0), up = atomicExch(from + 2, 0);
    to[0] = area, to[1] = area;
    to[2] = area ? job.W - left : 0, to[3] = area ? job.H - up : 0;
    to[4] = atomicExch(from + 3, 0), to[5] = atomicExch(from + 4, 0);
    to[6] = 0, to[7] = 0;
    job.moments[2 * n] = atomicExch(job.sums(n), 0ull);
    job.moments[2 * n + 1] = atomicExch(job.sums(n) + 1, 0ull);
  }
  if (threadIdx.x == 0) atomicExch(job.workspace, 0u);
}

template <typename T, typename O>
__device__ __forceinline__ void upsample(const Job<T, O>& job) {
  __shared__ Shared s;
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n_valid = job.n_valid[0];
  const int word0 = (int)blockIdx.x * TILE_WORDS, Y0 = (int)blockIdx.y * TILE_ROWS;
  const int word = warp % TILE_WORDS, row0 = warp / TILE_WORDS * WARP_ROWS;
  const Column c = plan_rows(job, s, (word0 + word) * 32, Y0 + row0);
  int own[WARP_ROWS] = {}, buffer = 0;
  find_windows(job, s, word0, Y0);
  __syncthreads();
  for (int base = 0; base < n_valid; base += THREADS) {
    const int hits = list_hits(job, s, base, n_valid);
    if (job.bits)
      for (int i = warp; i < min(n_valid - base, THREADS); i += WARPS)
        if (s.blank[i] >= 0) store_bits(job, s.blank[i], word0, Y0, 0, 0);
    for (int first = 0; first < hits; first += BATCH, buffer ^= 1) {
      for (int i = first; i < min(first + BATCH, hits); i++) {
        const int hit = s.hit[i], n = hit >> 9;
        const u32 rows = hit >> warp & 1 ? cover(job, s, c, n, hit >> 8 & 1 ? n + 1 : 0, own) : 0;
        if (lane < WARP_ROWS) s.bits[buffer][i - first][row0 + lane][word] = Y0 + row0 + lane < job.H ? rows : 0;
      }
      __syncthreads();  // with two buffers the next batch may start while this one is measured
      if (first + warp < hits) {
        const u32* row = &s.bits[buffer][warp][lane >> 1][2 * (lane & 1)];
        const int n = s.hit[first + warp] >> 9;
        const u32 a = row[0], b = row[1];
        if (job.bits) store_bits(job, n, word0, Y0, a, b);
        measure(job, n, word0, Y0, a, b);
      }
    }
  }
  const int x = (word0 + word) * 32 + lane;
#pragma unroll
  for (int i = 0; i < WARP_ROWS; i++) {
    const int y = Y0 + row0 + i;
    if (y < job.H && x < job.W) job.owner[((size_t)blockIdx.z * job.H + y) * job.W + x] = (O)own[i];
  }
  finish(job, s, n_valid);
}

#define PARAMETERS(T, O)                                                                                         \
  const T *__restrict__ logits, const int *__restrict__ low_stats, const int *__restrict__ order,                \
      const int *__restrict__ group, const int *__restrict__ n_valid, O *__restrict__ owner,                     \
      u32 *__restrict__ bits, int *__restrict__ stats, u64 *__restrict__ moments, u32 *workspace, int capacity,  \
      int groups, int h, int w, int H, int W, float sy, float sx
#define JOB(T, O)                                                                                                \
  Job<T, O>{logits, low_stats, order, group, n_valid, owner, bits, stats, moments, workspace, capacity, groups,  \
            h, w, H, W, sy, sx}

extern "C" __global__ void __launch_bounds__(256, 4)
upsample_owner_f32_u8(PARAMETERS(float, u8)) { upsample(JOB(float, u8)); }
extern "C" __global__ void __launch_bounds__(256, 4)
upsample_owner_f32_u16(PARAMETERS(float, u16)) { upsample(JOB(float, u16)); }
extern "C" __global__ void __launch_bounds__(256, 4)
upsample_owner_bf16_u8(PARAMETERS(u16, u8)) { upsample(JOB(u16, u8)); }
extern "C" __global__ void __launch_bounds__(256, 4)
upsample_owner_bf16_u16(PARAMETERS(u16, u16)) { upsample(JOB(u16, u16)); }
