/* MIG device UUIDs: version 5 over what identifies the place (chip, board, GPU instance id, engine), not over the
 * profile, so the same place gives the same UUID again after any recreation or reboot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mig.h"

static uint32_t rotate(uint32_t value, int bits)
{
    return (value << bits) | (value >> (32 - bits));
}

static void sha1_block(uint32_t h[5], const unsigned char *block)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5A827999;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ED9EBA1;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
        else
            f = b ^ c ^ d, k = 0xCA62C1D6;
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* For short inputs: at most 119 bytes, two blocks. */
void sha1(const unsigned char *data, size_t length, unsigned char digest[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    unsigned char blocks[128] = {0};
    size_t total = length + 9 <= 64 ? 64 : 128;
    if (length > 119)
        abort();
    memcpy(blocks, data, length);
    blocks[length] = 0x80;
    uint64_t bits = (uint64_t)length * 8;
    for (int i = 0; i < 8; i++)
        blocks[total - 1 - (size_t)i] = (unsigned char)(bits >> (8 * i));
    for (size_t at = 0; at < total; at += 64)
        sha1_block(h, blocks + at);
    for (int i = 0; i < 20; i++)
        digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static size_t append(unsigned char *to, size_t at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[at++] = (unsigned char)(value >> (8 * i));
    return at;
}

/* MIG-<uuid> since 470.42.01; before, MIG-GPU-<gpu>/<gi>/<ci>. */
static int has_new_names(const State *state)
{
    int major = 0, minor = 0, patch = 0;
    sscanf(state->driver_version, "%d.%d.%d", &major, &minor, &patch);
    return major > 470 || (major == 470 && (minor > 42 || (minor == 42 && patch >= 1)));
}

void mig_uuid(const State *state, const Gpu *gpu, const GpuInstance *gi, const ComputeInstance *ci, char *text,
              size_t size)
{
    static const unsigned char name_space[16] = {0xc8, 0x16, 0xc9, 0xa3, 0x52, 0x24, 0x56, 0xbf,
                                                 0x9d, 0x9a, 0xac, 0x7e, 0xa7, 0x03, 0xfb, 0x5b};
    if (!has_new_names(state)) {
        snprintf(text, size, "MIG-%s/%u/%u", gpu->uuid, gi->id, ci->id);
        return;
    }
    unsigned char data[64], d[20];
    memcpy(data, name_space, 16);
    memcpy(data + 16, "NVIDIA GPU", 10);
    size_t at = 26;
    data[at++] = 0x02;
    at = append(data, at, gpu->chip_id, 2);
    data[at++] = 0x08;
    at = append(data, at, gpu->pdi, 8);
    data[at++] = 0x0b;
    memcpy(data + at, "SMC", 3);
    at = append(data, at + 3, gi->id, 4);
    /* The graphics engine: one per compute slice, so the slice at which the compute instance starts. */
    at = append(data, at, gi->start + ci->start, 4);
    sha1(data, at, d);
    d[6] = (unsigned char)((d[6] & 0x0F) | 0x50);
    d[8] = (unsigned char)((d[8] & 0x3F) | 0x80);
    snprintf(text, size, "MIG-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1], d[2],
             d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14], d[15]);
}
