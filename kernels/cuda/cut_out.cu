// A part of an NV12 picture as interleaved 8-bit BGR, as large or smaller: each result is the mean of the pixels below
// it, those at its border by the share that lies there, in luma and chroma, converted once. Sums are of whole numbers
// and thus exact. A thread makes one result.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

__device__ __forceinline__ u8 level(float v) { return (u8)min(max(__float2int_rn(v), 0), 255); }

// Along one side: the first and the last pixel below a result, and how much these count; each between counts `each`.
struct Span {
  int first, last;
  u32 head, tail, each;
  __device__ __forceinline__ u32 weight(int at) const { return at == first ? head : at == last ? tail : each; }
};
// Of `results` over `pixels`, in parts of a pixel of which there are `results`.
__device__ __forceinline__ Span below(int at, int results, int pixels) {
  const int from = at * pixels, to = from + pixels, first = from / results, last = (to - 1) / results;
  const int head = min((first + 1) * results, to) - from;
  return {first, last, (u32)head, (u32)(to - last * results), (u32)results};
}

// A mean of levels, rounded half up, bit by bit: the device divides such numbers in a call that spills.
__device__ __forceinline__ float mean(u64 sum, u32 all) {
  int level = 0;
  sum += all / 2;
#pragma unroll
  for (int bit = 7; bit >= 0; bit--) {
    const u64 more = (u64)all << bit;
    if (sum >= more) sum -= more, level += 1 << bit;
  }
  return (float)level;
}

extern "C" __global__ void __launch_bounds__(256) cut_out(
    const u8* y, const u8* uv, u8* out, int W, int left, int top, int width, int height, int w, int h, float offset,
    float gain, float r_v, float g_u, float g_v, float b_u) {
  const int i = blockIdx.y * blockDim.y + threadIdx.y, j = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= h || j >= w) return;
  const Span rows = below(i, h, height), columns = below(j, w, width);
  u64 lumas = 0, us = 0, vs = 0;
  for (int r = rows.first; r <= rows.last; r++) {
    const u8 *luma = y + (size_t)(top + r) * W, *chroma = uv + (size_t)((top + r) >> 1) * ((W + 1) / 2) * 2;
    u32 l = 0, u = 0, v = 0;
    // Unrolled further it spills on some cards.
#pragma unroll 2
    for (int c = columns.first; c <= columns.last; c++) {
      const int x = left + c;
      const u32 part = columns.weight(c);
      l += part * luma[x];
      u += part * chroma[x & ~1];
      v += part * chroma[x | 1];
    }
    const u64 part = rows.weight(r);
    lumas += part * l;
    us += part * u;
    vs += part * v;
  }
  const u32 all = (u32)width * height;
  const float l = fmaxf(mean(lumas, all) - offset, 0.f) * gain, u = mean(us, all) - 128.f, v = mean(vs, all) - 128.f;
  u8* to = out + ((size_t)i * w + j) * 3;
  to[0] = level(l + b_u * u);
  to[1] = level(l - g_u * u - g_v * v);
  to[2] = level(l + r_v * v);
}
