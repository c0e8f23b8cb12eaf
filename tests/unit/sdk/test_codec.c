/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payload codecs: what they make and refuse, payloads of other programs (tests/golden/codec.py),
 * and key files. test_codec_engine.c runs workflows with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <argosy/argosy.h>

static char folder[] = "/tmp/argosy-codec-XXXXXX";
static struct argosy_arena *arena;
static struct argosy_codecs *codecs;

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/argosy-codec-XXXXXX");
    assert_non_null(mkdtemp(folder));
    arena = argosy_arena_create();
    codecs = argosy_codecs_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"a.key", "b.key", "c.key"};
    for (size_t i = 0; i < 3; i++)
        unlink(argosy_arena_printf(arena, "%s/%s", folder, names[i]));
    assert_int_equal(rmdir(folder), 0);
    argosy_codecs_destroy(codecs);
    argosy_arena_destroy(arena);
    return 0;
}

static const char *path_of(const char *name)
{
    return argosy_arena_printf(arena, "%s/%s", folder, name);
}

static const char *create_key(const char *name)
{
    static char id[ARGOSY_CODEC_KEY_ID_SIZE];
    struct argosy_error err = {0};
    if (argosy_codec_key_create(path_of(name), NULL, id, &err) < 0)
        fail_msg("%s", err.text);
    return id;
}

static void write_key(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static void add_aes_gcm(struct argosy_codecs *chain, const char *first, const char *second)
{
    const char *files[2] = {path_of(first), second == NULL ? NULL : path_of(second)};
    struct argosy_error err = {0};
    if (argosy_codecs_add_aes_gcm(chain, files, second == NULL ? 1 : 2, &err) < 0)
        fail_msg("%s", err.text);
}

static struct argosy_payload encode(struct argosy_payload payload)
{
    struct argosy_payload encoded;
    struct argosy_error err = {0};
    if (argosy_codecs_encode(codecs, &payload, arena, &encoded, &err) < 0)
        fail_msg("%s", err.text);
    return encoded;
}

static struct argosy_payload decode(struct argosy_payload payload)
{
    struct argosy_payload decoded;
    struct argosy_error err = {0};
    if (argosy_codecs_decode(codecs, &payload, arena, &decoded, &err) < 0)
        fail_msg("%s", err.text);
    return decoded;
}

static void assert_refused(struct argosy_payload payload, const char *text)
{
    struct argosy_payload decoded;
    struct argosy_error err = {0};
    assert_int_equal(argosy_codecs_decode(codecs, &payload, arena, &decoded, &err),
                     ARGOSY_ERR_CORRUPT);
    assert_string_equal(err.text, text);
}

static void assert_same(struct argosy_payload one, struct argosy_payload other)
{
    assert_string_equal(one.encoding, other.encoding);
    assert_int_equal(one.size, other.size);
    assert_memory_equal(one.data, other.data, one.size);
    assert_int_equal(one.metadata_count, other.metadata_count);
    for (size_t i = 0; i < one.metadata_count; i++) {
        assert_string_equal(one.metadata[i].key, other.metadata[i].key);
        assert_int_equal(one.metadata[i].size, other.metadata[i].size);
        assert_memory_equal(one.metadata[i].data, other.metadata[i].data, one.metadata[i].size);
    }
}

static struct argosy_payload long_text(size_t size)
{
    char *text = argosy_arena_alloc(arena, size + 1);
    memset(text, 'a', size);
    text[0] = text[size - 1] = '"';
    text[size] = '\0';
    return argosy_payload_json(text);
}

static struct argosy_payload from_hex(const char *encoding, const char *key_id, const char *hex)
{
    size_t size = strlen(hex) / 2;
    uint8_t *data = argosy_arena_alloc(arena, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &data[i]), 1);
    struct argosy_metadata *metadata = argosy_arena_alloc(arena, sizeof *metadata);
    *metadata = (struct argosy_metadata){"encryption-key-id", key_id, strlen(key_id)};
    return (struct argosy_payload){.encoding = encoding,
                                   .data = data,
                                   .size = size,
                                   .metadata = metadata,
                                   .metadata_count = 1};
}

/* ---- encryption ---- */

static void test_encrypted_and_back(void **state)
{
    (void)state;
    const char *id = create_key("a.key");
    add_aes_gcm(codecs, "a.key", NULL);
    struct argosy_metadata metadata = {"messageType", "T", 1};
    struct argosy_payload plain = argosy_payload_json("{\"card\": \"4711\"}");
    plain.metadata = &metadata;
    plain.metadata_count = 1;
    struct argosy_payload one = encode(plain);
    struct argosy_payload other = encode(plain);
    assert_string_equal(one.encoding, "binary/encrypted");
    assert_int_equal(one.metadata_count, 1);
    assert_string_equal(one.metadata[0].key, "encryption-key-id");
    assert_int_equal(one.metadata[0].size, strlen(id));
    assert_memory_equal(one.metadata[0].data, id, strlen(id));
    assert_null(memmem(one.data, one.size, "4711", 4));
    assert_null(memmem(one.data, one.size, "messageType", 11));
    assert_int_equal(one.size, other.size);
    assert_memory_not_equal(one.data, other.data, 12); /* nonces */
    assert_memory_not_equal((const char *)one.data + 12, (const char *)other.data + 12,
                            one.size - 12);
    assert_same(decode(one), plain);
    assert_same(decode(other), plain);
}

/* Payloads from before the codec was used, or of nobody's, go through. */
static void test_foreign_payloads_are_kept(void **state)
{
    (void)state;
    create_key("a.key");
    assert_int_equal(argosy_codecs_add_zstd(codecs, NULL, NULL), 0);
    add_aes_gcm(codecs, "a.key", NULL);
    assert_same(decode(argosy_payload_json("1")), argosy_payload_json("1"));
    assert_same(decode(argosy_payload_null()), argosy_payload_null());
    struct argosy_payload absent = {0};
    assert_null(encode(absent).encoding);
    assert_string_equal(decode(encode(argosy_payload_null())).encoding, ARGOSY_ENCODING_NULL);
}

static void test_every_changed_byte_is_noticed(void **state)
{
    (void)state;
    write_key("a.key",
              "key-id: k\nsecret-key: "
              "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
              0600);
    add_aes_gcm(codecs, "a.key", NULL);
    struct argosy_payload encoded = encode(argosy_payload_json("\"text\""));
    uint8_t *data = argosy_arena_alloc(arena, encoded.size);
    for (size_t i = 0; i < encoded.size; i++) {
        memcpy(data, encoded.data, encoded.size);
        data[i] ^= 1;
        struct argosy_payload changed = encoded;
        changed.data = data;
        assert_refused(changed, "codec \"aes-gcm\" could not decode a payload: it was changed, or "
                                "key \"k\" is not the one it was made with");
    }
    for (size_t size = 0; size < encoded.size; size++) {
        struct argosy_payload cut = encoded;
        struct argosy_payload decoded;
        cut.size = size;
        assert_int_equal(argosy_codecs_decode(codecs, &cut, arena, &decoded, NULL),
                         ARGOSY_ERR_CORRUPT);
    }
}

static void test_keys_are_changed(void **state)
{
    (void)state;
    create_key("a.key");
    const char *second = argosy_arena_printf(arena, "%s", create_key("b.key"));
    struct argosy_codecs *old = argosy_codecs_create();
    add_aes_gcm(old, "a.key", NULL);
    add_aes_gcm(codecs, "b.key", "a.key");
    struct argosy_payload before, after = encode(argosy_payload_json("2"));
    struct argosy_payload plain = argosy_payload_json("1"), decoded;
    assert_int_equal(argosy_codecs_encode(old, &plain, arena, &before, NULL), 0);
    assert_same(decode(before), plain);
    assert_memory_equal(after.metadata[0].data, second, strlen(second));
    struct argosy_error err = {0};
    assert_int_equal(argosy_codecs_decode(old, &after, arena, &decoded, &err), ARGOSY_ERR_CORRUPT);
    assert_string_equal(
        err.text, argosy_arena_printf(arena,
                                      "codec \"aes-gcm\" could not decode a payload: there is no "
                                      "key \"%s\" here",
                                      second));
    argosy_codecs_destroy(old);
}

/* tests/golden/codec.py: Python's cryptography over bytes written by hand. */
static void test_payload_of_another_program(void **state)
{
    (void)state;
    write_key("a.key",
              "# from Python\nkey-id: py\n\nsecret-key: "
              "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n",
              0600);
    add_aes_gcm(codecs, "a.key", NULL);
    assert_same(decode(from_hex("binary/encrypted", "py",
                                "6465666768696a6b6c6d6e6f420dd46e1c8735f15a0b318fc86f008e2dac297ae7"
                                "0d9a1cb5cdd76a8fc6dd3cb6d362a8297ef76bdd950a5090629ab66f33f7890237"
                                "3edab82385933eebd81ea9d902de4df2")),
                argosy_payload_json("{\"text\":\"hello from Python\"}"));
}

/* ---- compression ---- */

static void test_compressed_where_it_helps(void **state)
{
    (void)state;
    assert_int_equal(
        argosy_codecs_add_zstd(codecs, &(struct argosy_zstd_options){.level = 20}, NULL),
        ARGOSY_ERR_INVALID);
    assert_int_equal(argosy_codecs_add_zstd(codecs, NULL, NULL), 0);
    assert_same(encode(long_text(255)), long_text(255));
    struct argosy_payload encoded = encode(long_text(256));
    assert_string_equal(encoded.encoding, "binary/zstd");
    assert_true(encoded.size < 100);
    assert_same(decode(encoded), long_text(256));
    uint32_t noise[256]; /* nothing to gain */
    uint32_t x = 1;
    for (size_t i = 0; i < 256; i++)
        noise[i] = x = x * 1664525 + 1013904223;
    struct argosy_payload random = argosy_payload_binary(noise, sizeof noise);
    assert_same(encode(random), random);
    struct argosy_payload largest = long_text(2 << 20);
    assert_same(decode(encode(largest)), largest);
}

static void test_frames_of_the_zstd_program(void **state)
{
    (void)state;
    assert_int_equal(argosy_codecs_add_zstd(codecs, NULL, NULL), 0);
    assert_same(decode(from_hex("binary/zstd", "",
                                "28b52ffd2480250100e80a160a08656e636f64696e67120a6a736f6e2f706c6169"
                                "6e12662261220100801438015aa531ba")),
                long_text(102));
    static const char prefix[] = "codec \"zstd\" could not decode a payload: ";
    assert_refused(from_hex("binary/zstd", "", "28b52ffd8458000000045400001000000100fbff39c00202"),
                   argosy_arena_printf(arena,
                                       "%sthe frame unpacks to 67108864 bytes, over the limit of "
                                       "2162688",
                                       prefix));
    assert_refused(from_hex("binary/zstd", "",
                            "28b52ffd0458250100e80a160a08656e636f64696e67120a6a736f6e2f706c61696e12"
                            "662261220100801438015aa531ba"),
                   argosy_arena_printf(arena, "%sthe frame does not say its size", prefix));
    assert_refused(from_hex("binary/zstd", "", "00"),
                   argosy_arena_printf(arena, "%snot a zstd frame", prefix));
}

/* Compressed, then encrypted: the other way round nothing would get smaller. */
static void test_chain_in_order(void **state)
{
    (void)state;
    create_key("a.key");
    assert_int_equal(argosy_codecs_add_zstd(codecs, NULL, NULL), 0);
    add_aes_gcm(codecs, "a.key", NULL);
    struct argosy_payload encoded = encode(long_text(100000));
    assert_string_equal(encoded.encoding, "binary/encrypted");
    assert_true(encoded.size < 1000);
    assert_same(decode(encoded), long_text(100000));
}

/* ---- codecs of one's own, and wrong ones ---- */

static int keep(void *user_data, const struct argosy_payload *payload, struct argosy_arena *in,
                struct argosy_payload *ret_payload, struct argosy_error *err)
{
    (void)user_data, (void)payload, (void)in, (void)ret_payload, (void)err;
    return ARGOSY_CODEC_KEPT;
}

static void count_close(void *user_data)
{
    ++*(int *)user_data;
}

static void test_chain_owns_its_codecs(void **state)
{
    (void)state;
    int closed = 0;
    struct argosy_error err = {0};
    char name[] = "keep";
    struct argosy_codec codec = {
        .name = name, .encode = keep, .decode = keep, .user_data = &closed, .close = count_close};
    struct argosy_codecs *chain = argosy_codecs_create();
    for (int i = 0; i < ARGOSY_CODECS_MAX; i++)
        assert_int_equal(argosy_codecs_add(chain, &codec, &err), 0);
    assert_int_equal(argosy_codecs_add(chain, &codec, &err), ARGOSY_ERR_LIMIT);
    codec.decode = NULL;
    assert_int_equal(argosy_codecs_add(codecs, &codec, &err), ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "codec \"keep\" needs a function for either direction");
    assert_int_equal(closed, 0);
    argosy_codecs_destroy(chain);
    assert_int_equal(closed, ARGOSY_CODECS_MAX);
}

/* ---- key files ---- */

static void assert_key_refused(const char *text, mode_t mode, int code, const char *reason)
{
    write_key("a.key", text, mode);
    struct argosy_error err = {0};
    assert_int_equal(argosy_codecs_add_aes_gcm(codecs, (const char *[]){path_of("a.key")}, 1, &err),
                     code);
    assert_string_equal(err.text, argosy_arena_printf(arena, "%s%s", path_of("a.key"), reason));
}

#define SECRET "secret-key: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

static void test_key_files(void **state)
{
    (void)state;
    struct stat st;
    create_key("b.key");
    assert_int_equal(stat(path_of("b.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char id[ARGOSY_CODEC_KEY_ID_SIZE];
    assert_int_equal(argosy_codec_key_create(path_of("b.key"), NULL, id, NULL), ARGOSY_ERR_EXISTS);
    assert_int_equal(argosy_codec_key_create(path_of("c.key"), "a b", id, NULL),
                     ARGOSY_ERR_INVALID);
    assert_int_equal(argosy_codec_key_create(path_of("c.key"), "prod-2026", id, NULL), 0);
    assert_string_equal(id, "prod-2026");
    assert_key_refused("key-id: k\n" SECRET, 0644, ARGOSY_ERR_PERMISSION,
                       argosy_arena_printf(arena,
                                           ": a secret key that others may read (owner %u, mode "
                                           "644); make it its user's own with mode 600, or root's "
                                           "with mode 640",
                                           (unsigned)getuid()));
    assert_key_refused("key-id: k\n", 0600, ARGOSY_ERR_CONFIG, ": needs a key-id and a secret-key");
    assert_key_refused(SECRET, 0600, ARGOSY_ERR_CONFIG, ": needs a key-id and a secret-key");
    assert_key_refused("key-id: k\nsecret-key: 0001\n", 0600, ARGOSY_ERR_CONFIG,
                       ":2: expected \"key-id: \" and a name, or \"secret-key: \" and 64 "
                       "hexadecimal digits");
    write_key("a.key", "key-id: prod-2026\n" SECRET, 0600);
    struct argosy_error err = {0};
    const char *twice[] = {path_of("a.key"), path_of("c.key")};
    assert_int_equal(argosy_codecs_add_aes_gcm(codecs, twice, 2, &err), ARGOSY_ERR_CONFIG);
    assert_non_null(strstr(err.text, "hold keys of the same id \"prod-2026\""));
    assert_int_equal(argosy_codecs_add_aes_gcm(codecs, twice, 0, &err), ARGOSY_ERR_INVALID);
    assert_int_equal(
        argosy_codecs_add_aes_gcm(codecs, (const char *[]){path_of("none.key")}, 1, &err),
        ARGOSY_ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(encrypted_and_back),
        TEST(foreign_payloads_are_kept),
        TEST(every_changed_byte_is_noticed),
        TEST(keys_are_changed),
        TEST(payload_of_another_program),
        TEST(compressed_where_it_helps),
        TEST(frames_of_the_zstd_program),
        TEST(chain_in_order),
        TEST(chain_owns_its_codecs),
        TEST(key_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
