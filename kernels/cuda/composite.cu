// Composite: colour, outline, feather, pixelation and a replaced background in one pass over the picture, out of place.
// One block takes a tile of 64 x 32 pixels through shared memory, so that the picture is read and written in vectors
// whatever a pixel's size is, and so that a pixelation cell never leaves its block; a thread shades quads of 2 x 2
// pixels, which share one chroma sample in NV12. Shading loops are not unrolled: most tiles are copies, and in the
// others the size of the code costs more than the branches. Four blocks fit a multiprocessor: 132 of them hold all of
// 720p at once.
#ifndef DYN_SMEM
#define DYN_SMEM(T, name) extern __shared__ T name[]
#endif
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum Mode { FILL = 1, OUTLINE = 2, PIXELATE = 4, COLOUR_BEHIND = 8, IMAGE_BEHIND = 16, BLUR_BEHIND = 32 };
enum Near { BACKGROUND_NEAR = 1, OBJECT_NEAR = 2 };
const int TILE_W = 64, TILE_H = 32, ROW = TILE_W * 3, THREADS = 256, CELLS = 32;

__device__ __forceinline__ float widen(float v) { return v; }
__device__ __forceinline__ float widen(u16 v) { return __uint_as_float((u32)v << 16); }
__device__ __forceinline__ float unit(float v) { return fminf(fmaxf(v, 0.f), 1.f); }
__device__ __forceinline__ u8 level(float v) { return (u8)fminf(fmaxf(v + 0.5f, 0.f), 255.f); }

struct Pixel { float a, b, c; };
__device__ __forceinline__ Pixel mix(Pixel from, Pixel to, float t) {
  return {from.a + t * (to.a - from.a), from.b + t * (to.b - from.b), from.c + t * (to.c - from.c)};
}

struct Cover { int shown, own; float inside, line; };

template <typename O, typename L>
struct Layers {
  const O* owner; const L* logits;
  int ids, h, w, H, W, mode;
  float thickness, feather, sy, sx;

  __device__ __forceinline__ int id(int y, int x) const {
    int o = owner[(size_t)y * W + x];
    return o <= ids ? o : 0;
  }
  __device__ __forceinline__ int near_one(int y, int x, int own, bool objects) const {
    if (y < 0 || x < 0 || y >= H || x >= W) return 0;
    int o = id(y, x);
    return o == own ? 0 : o ? (objects ? OBJECT_NEAR : 0) : BACKGROUND_NEAR;
  }
  // what else than `own` lies within reach along the axes; other objects count up to their own reach
  __device__ int near(int y, int x, int own, int reach, int object_reach) const {
    int seen = 0;
#pragma unroll 1
    for (int k = 1; k <= reach; k++) {
      bool objects = k <= object_reach;
      seen |= near_one(y, x - k, own, objects) | near_one(y, x + k, own, objects);
      seen |= near_one(y - k, x, own, objects) | near_one(y + k, x, own, objects);
    }
    return seen;
  }
  __device__ int largest_neighbour(int y, int x) const {
    int o = x > 0 ? id(y, x - 1) : 0;
    if (x + 1 < W) o = max(o, id(y, x + 1));
    if (y > 0) o = max(o, id(y - 1, x));
    if (y + 1 < H) o = max(o, id(y + 1, x));
    return o;
  }
  // pixels from the zero line of one object's logits, positive inside: value over gradient, both bilinear
  __device__ float distance(int object, int y, int x) const {
    float fy = fmaxf(sy * (y + 0.5f) - 0.5f, 0.f), fx = fmaxf(sx * (x + 0.5f) - 0.5f, 0.f);
    int y0 = min((int)fy, h - 1), x0 = min((int)fx, w - 1), down = y0 < h - 1 ? w : 0, right = x0 < w - 1;
    float ly = fy - y0, lx = fx - x0;
    const L* p = logits + ((size_t)object * h + y0) * w + x0;
    float a = widen(p[0]), b = widen(p[right]), c = widen(p[down]), d = widen(p[down + right]);
    float v = (1.f - ly) * ((1.f - lx) * a + lx * b) + ly * ((1.f - lx) * c + lx * d);
    float gx = sx * ((1.f - ly) * (b - a) + ly * (d - c)), gy = sy * ((1.f - lx) * (c - a) + lx * (d - b));
    return v / fmaxf(sqrtf(gx * gx + gy * gy), 1e-6f);
  }
  __device__ Cover cover(int y, int x) const {
    int own = id(y, x), shown = own, seam = (int)ceilf(thickness);
    if (!own && logits) shown = largest_neighbour(y, x);
    if (!shown) return {0, 0, 0.f, 0.f};
    if (!logits) return {own, own, 1.f, mode & OUTLINE && near(y, x, own, seam, seam) ? 1.f : 0.f};
    float d = distance(shown - 1, y, x), edge = unit(d + 0.5f), inside = unit((d + 0.5f) / feather), line = 0.f;
    if (!own) return {shown, 0, inside, mode & OUTLINE ? edge : 0.f};
    // weak logits without an edge beside them are filled holes
    int soft = (int)(1.5f * feather) + 1;
    if (inside < 1.f && !near(y, x, own, soft, soft)) inside = 1.f;
    if (mode & OUTLINE) {
      float band = edge * unit(thickness + 0.5f - d);
      int seen = near(y, x, own, band > 0.f ? (int)(1.5f * thickness) + 1 : seam, seam);
      line = seen & OBJECT_NEAR ? 1.f : seen & BACKGROUND_NEAR ? band : 0.f;
    }
    return {shown, own, inside, line};
  }
};

struct Tint { float k_r, k_g, k_b, gain, offset, u_b, v_r; };
__device__ __forceinline__ Pixel tinted(const u8* rgba, const Tint* t) {
  Pixel p = {(float)rgba[0], (float)rgba[1], (float)rgba[2]};
  if (!t) return p;
  float l = t->k_r * p.a + t->k_g * p.b + t->k_b * p.c;
  return {l * t->gain + t->offset, (p.c - l) * t->u_b + 128.f, (p.a - l) * t->v_r + 128.f};
}

__device__ Pixel blurred_at(const u8* quarter, int y, int x, int H, int W) {
  int h = (H + 3) >> 2, w = (W + 3) >> 2;
  float fy = fminf(fmaxf(0.25f * (y + 0.5f) - 0.5f, 0.f), (float)(h - 1));
  float fx = fminf(fmaxf(0.25f * (x + 0.5f) - 0.5f, 0.f), (float)(w - 1));
  int y0 = (int)fy, x0 = (int)fx, y1 = min(y0 + 1, h - 1), x1 = min(x0 + 1, w - 1);
  float ly = fy - y0, lx = fx - x0, out[3];
  const u32* q = (const u32*)quarter;
  u32 a = q[y0 * w + x0], b = q[y0 * w + x1], c = q[y1 * w + x0], d = q[y1 * w + x1];
#pragma unroll
  for (int k = 0; k < 3; k++, a >>= 8, b >>= 8, c >>= 8, d >>= 8)
    out[k] = (1.f - ly) * ((1.f - lx) * (float)(a & 255u) + lx * (float)(b & 255u)) +
             ly * ((1.f - lx) * (float)(c & 255u) + lx * (float)(d & 255u));
  return {out[0], out[1], out[2]};
}

// `behind` is what lies behind the objects, and only read in the modes that have it
__device__ __forceinline__ Pixel shaded(
    Cover c, int mode, Pixel base, Pixel behind, const u8* palette, const Tint* tint) {
  Pixel p = base;
  if (mode & (COLOUR_BEHIND | IMAGE_BEHIND | BLUR_BEHIND)) p = mix(behind, p, c.inside);
  if (c.shown && mode & (FILL | OUTLINE)) {
    const u8* rgba = palette + 4 * c.shown;
    Pixel colour = tinted(rgba, tint);
    if (mode & FILL) p = mix(p, colour, (float)rgba[3] / 255.f * c.inside);
    if (c.line > 0.f) p = mix(p, colour, c.line);
  }
  return p;
}

// Rows of a tile between global and shared memory, in words of the size that the caller knows them to be aligned to.
template <int WIDTH, typename V>
__device__ void copy_rows(u8* to, int to_pitch, const u8* from, int from_pitch, int rows, int valid_rows, int valid) {
  const int across = WIDTH / (int)sizeof(V);
  for (int i = threadIdx.x; i < rows * across; i += THREADS) {
    int r = i / across, c = (i - r * across) * (int)sizeof(V);
    if (r >= valid_rows || c >= valid) continue;
    *(V*)(to + (size_t)r * to_pitch + c) = *(const V*)(from + (size_t)r * from_pitch + c);
  }
}
template <int WIDTH>
__device__ void load_rows(u8* tile, const u8* from, int rows, int pitch, int valid_rows, int valid, int vector) {
  if (vector) copy_rows<WIDTH, u64>(tile, WIDTH, from, pitch, rows, valid_rows, valid);
  else copy_rows<WIDTH, u8>(tile, WIDTH, from, pitch, rows, valid_rows, valid);
}
template <int WIDTH>
__device__ void store_rows(const u8* tile, u8* to, int rows, int pitch, int valid_rows, int valid, int vector) {
  if (vector) copy_rows<WIDTH, u64>(to, pitch, tile, WIDTH, rows, valid_rows, valid);
  else copy_rows<WIDTH, u8>(to, pitch, tile, WIDTH, rows, valid_rows, valid);
}

// Whether anything but a copy is to be done in this tile: an object in it or, for soft edges, right beside it.
template <typename O, typename L>
__device__ bool touches(const Layers<O, L>& s, int X0, int Y0) {
  int tx = threadIdx.x & 31, any = 0;
  for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8)
    for (int k = 0; k < 4; k++) {
      int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1), x = X0 + lx, y = Y0 + ly;
      if (x >= s.W || y >= s.H) continue;
      any |= s.id(y, x);
      if (lx == 0 && x > 0) any |= s.id(y, x - 1);
      if (lx == TILE_W - 1 && x + 1 < s.W) any |= s.id(y, x + 1);
      if (ly == 0 && y > 0) any |= s.id(y - 1, x);
      if (ly == TILE_H - 1 && y + 1 < s.H) any |= s.id(y + 1, x);
    }
  return any != 0;
}

// Adds a quad's sums to its cell's: lanes of one cell lie side by side, so that a shuffle saves most of the atomics.
__device__ void add_to_cell(int* cells, int cell, int tx, int ty, int a, int b, int c) {
  int quads = cell / 2;
  for (int s = 1; s < quads; s <<= 1) {
    a += __shfl_xor_sync(0xffffffffu, a, s);
    b += __shfl_xor_sync(0xffffffffu, b, s);
    c += __shfl_xor_sync(0xffffffffu, c, s);
  }
  if (tx % quads) return;
  int* sum = cells + 3 * (ty / quads * (TILE_W / cell) + tx / quads);
  atomicAdd(sum, a);
  atomicAdd(sum + 1, b);
  atomicAdd(sum + 2, c);
}

template <typename O, typename L>
__device__ void composite_nv12(u8* tile, int* cells, const u8* y, const u8* uv, const u8* palette, const u8* behind_y,
                               const u8* behind_uv, const u8* quarter, u8* out_y, u8* out_uv, int cell, int vector,
                               const Layers<O, L>& s, const Tint& tint) {
  const int H = s.H, W = s.W, CW = (W + 1) / 2, CH = (H + 1) / 2, mode = s.mode, tx = threadIdx.x & 31;
  const int X0 = blockIdx.x * TILE_W, Y0 = blockIdx.y * TILE_H, CX = X0 / 2, CY = Y0 / 2;
  u8* chroma = tile + TILE_W * TILE_H;
  const size_t luma_at = (size_t)Y0 * W + X0, chroma_at = ((size_t)CY * CW + CX) * 2;
  load_rows<TILE_W>(tile, y + luma_at, TILE_H, W, H - Y0, W - X0, vector);
  load_rows<TILE_W>(chroma, uv + chroma_at, TILE_H / 2, CW * 2, CH - CY, (CW - CX) * 2, vector);
  if (threadIdx.x < CELLS * 3) cells[threadIdx.x] = 0;
  const bool replaced = mode & (COLOUR_BEHIND | IMAGE_BEHIND | BLUR_BEHIND);
  if (__syncthreads_or(touches(s, X0, Y0) || replaced)) {
    if (mode & PIXELATE) {
      for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8) {
        int a = 0, b = 0, c = 0;
        for (int k = 0; k < 4; k++) {
          int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1);
          if (X0 + lx < W && Y0 + ly < H) a += tile[ly * TILE_W + lx];
        }
        if (CX + tx < CW && CY + ty < CH) b = chroma[ty * TILE_W + tx * 2], c = chroma[ty * TILE_W + tx * 2 + 1];
        add_to_cell(cells, cell, tx, ty, a, b, c);
      }
      __syncthreads();
    }
    for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8) {
      if (X0 + tx * 2 >= W || Y0 + ty * 2 >= H) continue;
      u8* pair = chroma + ty * TILE_W + tx * 2;
      Pixel mosaic = {0.f, 0.f, 0.f};
      if (mode & PIXELATE) {
        int gx = tx * 2 / cell, gy = ty * 2 / cell, *sum = cells + 3 * (gy * (TILE_W / cell) + gx);
        int cw = min(cell, W - X0 - gx * cell), ch = min(cell, H - Y0 - gy * cell);
        float whole = (float)(cw * ch), halved = (float)(((cw + 1) / 2) * ((ch + 1) / 2));
        mosaic = {(float)sum[0] / whole, (float)sum[1] / halved, (float)sum[2] / halved};
      }
      float u = 0.f, v = 0.f;
      int count = 0;
#pragma unroll 1
      for (int k = 0; k < 4; k++) {
        int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1), px = X0 + lx, py = Y0 + ly;
        if (px >= W || py >= H) continue;
        Pixel base = {(float)tile[ly * TILE_W + lx], (float)pair[0], (float)pair[1]}, behind = base;
        Cover c = s.cover(py, px);
        if (mode & COLOUR_BEHIND) behind = mix(base, tinted(palette, &tint), (float)palette[3] / 255.f);
        if (mode & IMAGE_BEHIND) {
          const u8* q = behind_uv + ((size_t)(py >> 1) * CW + (px >> 1)) * 2;
          behind = {(float)behind_y[(size_t)py * W + px], (float)q[0], (float)q[1]};
        }
        if (mode & BLUR_BEHIND) behind = blurred_at(quarter, py, px, H, W);
        Pixel p = shaded(c, mode, mode & PIXELATE && c.own ? mosaic : base, behind, palette, &tint);
        tile[ly * TILE_W + lx] = level(p.a);
        u += p.b;
        v += p.c;
        count++;
      }
      pair[0] = level(u / (float)count);
      pair[1] = level(v / (float)count);
    }
    __syncthreads();
  }
  store_rows<TILE_W>(tile, out_y + luma_at, TILE_H, W, H - Y0, W - X0, vector);
  store_rows<TILE_W>(chroma, out_uv + chroma_at, TILE_H / 2, CW * 2, CH - CY, (CW - CX) * 2, vector);
}

template <typename O, typename L>
__device__ void composite_rgb(u8* tile, int* cells, const u8* frame, const u8* palette, const u8* behind_frame,
                              const u8* quarter, u8* out, int cell, int vector, const Layers<O, L>& s) {
  const int H = s.H, W = s.W, mode = s.mode, tx = threadIdx.x & 31;
  const int X0 = blockIdx.x * TILE_W, Y0 = blockIdx.y * TILE_H;
  const size_t at = ((size_t)Y0 * W + X0) * 3;
  load_rows<ROW>(tile, frame + at, TILE_H, W * 3, H - Y0, (W - X0) * 3, vector);
  if (threadIdx.x < CELLS * 3) cells[threadIdx.x] = 0;
  const bool replaced = mode & (COLOUR_BEHIND | IMAGE_BEHIND | BLUR_BEHIND);
  if (__syncthreads_or(touches(s, X0, Y0) || replaced)) {
    if (mode & PIXELATE) {
      for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8) {
        int a = 0, b = 0, c = 0;
        for (int k = 0; k < 4; k++) {
          int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1);
          const u8* p = tile + ly * ROW + lx * 3;
          if (X0 + lx < W && Y0 + ly < H) a += p[0], b += p[1], c += p[2];
        }
        add_to_cell(cells, cell, tx, ty, a, b, c);
      }
      __syncthreads();
    }
    for (int ty = threadIdx.x >> 5; ty < TILE_H / 2; ty += 8)
#pragma unroll 1
      for (int k = 0; k < 4; k++) {
        int lx = tx * 2 + (k & 1), ly = ty * 2 + (k >> 1), px = X0 + lx, py = Y0 + ly;
        if (px >= W || py >= H) continue;
        u8* pixel = tile + ly * ROW + lx * 3;
        Pixel base = {(float)pixel[0], (float)pixel[1], (float)pixel[2]}, behind = base;
        Cover c = s.cover(py, px);
        if (mode & COLOUR_BEHIND) behind = mix(base, tinted(palette, 0), (float)palette[3] / 255.f);
        if (mode & IMAGE_BEHIND) {
          const u8* q = behind_frame + ((size_t)py * W + px) * 3;
          behind = {(float)q[0], (float)q[1], (float)q[2]};
        }
        if (mode & BLUR_BEHIND) behind = blurred_at(quarter, py, px, H, W);
        if (mode & PIXELATE && c.own) {
          int gx = lx / cell, gy = ly / cell, *sum = cells + 3 * (gy * (TILE_W / cell) + gx);
          float whole = (float)(min(cell, W - X0 - gx * cell) * min(cell, H - Y0 - gy * cell));
          base = {(float)sum[0] / whole, (float)sum[1] / whole, (float)sum[2] / whole};
        }
        Pixel p = shaded(c, mode, base, behind, palette, 0);
        pixel[0] = level(p.a);
        pixel[1] = level(p.b);
        pixel[2] = level(p.c);
      }
    __syncthreads();
  }
  store_rows<ROW>(tile, out + at, TILE_H, W * 3, H - Y0, (W - X0) * 3, vector);
}

#define NV12_PARAMETERS(O, L)                                                                                         \
  const u8 *y, const u8 *uv, const O *owner, const L *logits, const u8 *palette, const int *n_valid,                  \
      const u8 *behind_y, const u8 *behind_uv, const u8 *quarter, u8 *out_y, u8 *out_uv, int N, int h, int w, int H,  \
      int W, int mode, int cell, float thickness, float feather, float sy, float sx, float k_r, float k_g, float k_b, \
      float gain, float offset, float u_b, float v_r, int vector
#define NV12_BODY(O, L)                                                                                               \
  __shared__ u64 tile[TILE_W * TILE_H * 3 / 2 / 8];                                                                   \
  __shared__ int cells[CELLS * 3];                                                                                    \
  const Layers<O, L> s = {owner, logits, min(*n_valid, N), h, w, H, W, mode, thickness, feather, sy, sx};             \
  const Tint tint = {k_r, k_g, k_b, gain, offset, u_b, v_r};                                                          \
  composite_nv12((u8*)tile, cells, y, uv, palette, behind_y, behind_uv, quarter, out_y, out_uv, cell, vector, s, tint);
#define RGB_PARAMETERS(O, L)                                                                                          \
  const u8 *frame, const O *owner, const L *logits, const u8 *palette, const int *n_valid, const u8 *behind,          \
      const u8 *quarter, u8 *out, int N, int h, int w, int H, int W, int mode, int cell, float thickness,             \
      float feather, float sy, float sx, int vector
#define RGB_BODY(O, L)                                                                                                \
  __shared__ u64 tile[TILE_W * TILE_H * 3 / 8];                                                                       \
  __shared__ int cells[CELLS * 3];                                                                                    \
  const Layers<O, L> s = {owner, logits, min(*n_valid, N), h, w, H, W, mode, thickness, feather, sy, sx};             \
  composite_rgb((u8*)tile, cells, frame, palette, behind, quarter, out, cell, vector, s);

extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_f32_u8(NV12_PARAMETERS(u8, float)) {
  NV12_BODY(u8, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_bf16_u8(NV12_PARAMETERS(u8, u16)) {
  NV12_BODY(u8, u16)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_f32_u16(NV12_PARAMETERS(u16, float)) {
  NV12_BODY(u16, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_nv12_bf16_u16(NV12_PARAMETERS(u16, u16)) {
  NV12_BODY(u16, u16)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_f32_u8(RGB_PARAMETERS(u8, float)) {
  RGB_BODY(u8, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_bf16_u8(RGB_PARAMETERS(u8, u16)) {
  RGB_BODY(u8, u16)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_f32_u16(RGB_PARAMETERS(u16, float)) {
  RGB_BODY(u16, float)
}
extern "C" __global__ void __launch_bounds__(256, 4) composite_rgb_bf16_u16(RGB_PARAMETERS(u16, u16)) {
  RGB_BODY(u16, u16)
}
