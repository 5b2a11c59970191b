// Crops of regions: every box of the picture squashed to bf16 [3, S, S] by bilinear interpolation of 8-bit RGB, scaled
// to -1..1. What lies outside the picture and, with an owner map, what is not the crop's own object counts as mid-grey,
// which is 0 here. All crops in one launch; a thread makes two results side by side.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

__device__ __forceinline__ u32 bf16(float v) {
  u32 bits = __float_as_uint(v);
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
__device__ __forceinline__ float level(float v) { return (float)min(max(__float2int_rn(v), 0), 255); }
__device__ __forceinline__ float scaled(float v) { return v * (1.f / 127.5f) - 1.f; }

struct Colour { float r, g, b; };
__device__ __forceinline__ Colour between(Colour a, Colour b, float t) {
  return {(1.f - t) * a.r + t * b.r, (1.f - t) * a.g + t * b.g, (1.f - t) * a.b + t * b.b};
}

struct Nv12 {
  const u8 *y, *uv;
  int H, W;
  float offset, gain, r_v, g_u, g_v, b_u;
  __device__ __forceinline__ Colour at(int py, int px) const {
    const u8* q = uv + ((size_t)(py >> 1) * ((W + 1) / 2) + (px >> 1)) * 2;
    float l = fmaxf((float)y[(size_t)py * W + px] - offset, 0.f) * gain;
    float u = (float)q[0] - 128.f, v = (float)q[1] - 128.f;
    return {scaled(level(l + r_v * v)), scaled(level(l - g_u * u - g_v * v)), scaled(level(l + b_u * u))};
  }
};
struct Rgb {
  const u8* frame;
  int H, W;
  __device__ __forceinline__ Colour at(int py, int px) const {
    const u8* p = frame + ((size_t)py * W + px) * 3;
    return {scaled((float)p[0]), scaled((float)p[1]), scaled((float)p[2])};
  }
};

template <typename F, typename O>
__device__ Colour tap(const F& frame, const O* owner, int id, int y, int x) {
  if (y < 0 || x < 0 || y >= frame.H || x >= frame.W) return {0.f, 0.f, 0.f};
  if (owner && owner[(size_t)y * frame.W + x] != id) return {0.f, 0.f, 0.f};
  return frame.at(y, x);
}

// Where the sample of a result lies on the picture, cut to just outside so that any box fits an integer.
__device__ __forceinline__ float place(float from, float to, int at, int S, int side) {
  float v = from + (at + 0.5f) * ((to - from) / (float)S) - 0.5f;
  return fminf(fmaxf(v, -2.f), (float)side + 1.f);
}

template <typename F, typename O>
__device__ void roi_crops(const F& frame, const float* boxes, const O* owner, const int* ids, u16* out, int S) {
  const int k = blockIdx.z, i = blockIdx.y * blockDim.y + threadIdx.y, j = (blockIdx.x * blockDim.x + threadIdx.x) * 2;
  if (i >= S || j >= S) return;
  const float x0 = boxes[4 * k], y0 = boxes[4 * k + 1], x1 = boxes[4 * k + 2], y1 = boxes[4 * k + 3];
  const int id = ids ? ids[k] : k + 1;
  const bool filled = x1 > x0 && y1 > y0 && x1 - x0 < 1e9f && y1 - y0 < 1e9f;  // false for NaN
  Colour found[2];
  for (int n = 0; n < 2; n++) {
    found[n] = {0.f, 0.f, 0.f};
    if (!filled || j + n >= S) continue;
    float fy = place(y0, y1, i, S, frame.H), fx = place(x0, x1, j + n, S, frame.W), top = floorf(fy), left = floorf(fx);
    int py = (int)top, px = (int)left;
    Colour upper = between(tap(frame, owner, id, py, px), tap(frame, owner, id, py, px + 1), fx - left);
    Colour lower = between(tap(frame, owner, id, py + 1, px), tap(frame, owner, id, py + 1, px + 1), fx - left);
    found[n] = between(upper, lower, fy - top);
  }
  const float first[3] = {found[0].r, found[0].g, found[0].b}, second[3] = {found[1].r, found[1].g, found[1].b};
#pragma unroll
  for (int c = 0; c < 3; c++) {
    u16* to = out + (((size_t)k * 3 + c) * S + i) * S + j;
    if ((S & 1) == 0) *(u32*)to = bf16(first[c]) | bf16(second[c]) << 16;
    else {
      to[0] = (u16)bf16(first[c]);
      if (j + 1 < S) to[1] = (u16)bf16(second[c]);
    }
  }
}

#define NV12_PARAMETERS(O)                                                                                          \
  const u8 *y, const u8 *uv, const float *boxes, const O *owner, const int *ids, const int *n_valid, u16 *out, int H, \
      int W, int S, float offset, float gain, float r_v, float g_u, float g_v, float b_u
#define NV12_BODY                                                                                                   \
  if ((int)blockIdx.z >= *n_valid) return;                                                                          \
  const Nv12 picture = {y, uv, H, W, offset, gain, r_v, g_u, g_v, b_u};                                             \
  roi_crops(picture, boxes, owner, ids, out, S);
#define RGB_PARAMETERS(O)                                                                                           \
  const u8 *frame, const float *boxes, const O *owner, const int *ids, const int *n_valid, u16 *out, int H, int W, int S
#define RGB_BODY                                                                                                    \
  if ((int)blockIdx.z >= *n_valid) return;                                                                          \
  const Rgb picture = {frame, H, W};                                                                                \
  roi_crops(picture, boxes, owner, ids, out, S);

extern "C" __global__ void __launch_bounds__(256) roi_crops_nv12_u8(NV12_PARAMETERS(u8)) { NV12_BODY }
extern "C" __global__ void __launch_bounds__(256) roi_crops_nv12_u16(NV12_PARAMETERS(u16)) { NV12_BODY }
extern "C" __global__ void __launch_bounds__(256) roi_crops_rgb_u8(RGB_PARAMETERS(u8)) { RGB_BODY }
extern "C" __global__ void __launch_bounds__(256) roi_crops_rgb_u16(RGB_PARAMETERS(u16)) { RGB_BODY }
