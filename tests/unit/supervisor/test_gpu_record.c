/* SPDX-License-Identifier: Apache-2.0 */
/* test_gpu_record: what the supervisor takes for a record of the helper, and what it does not. */
#include "tests/test.h"

#include <string.h>

#include "supervisor/gpu/gpu_record.h"

static struct gpu_record make_figures(void)
{
    struct gpu_record record = {.kind = GPU_RECORD_FIGURES, .identity = {.uuid = "GPU-a"}};
    gpu_record_set(&record, GPU_FIGURE_POWER, 250000);
    return record;
}

static bool is_record(const struct gpu_record *record)
{
    struct gpu_record read = {0};
    bool is_one = gpu_record_read(record, sizeof *record, &read);
    assert_int_equal(read.kind, is_one ? record->kind : 0);
    assert_int_equal(read.known, is_one ? record->known : 0);
    return is_one;
}

static void whole_records_are_taken(void **state)
{
    (void)state;
    struct gpu_record record = make_figures();
    assert_true(is_record(&record));
    record = (struct gpu_record){
        .kind = GPU_RECORD_EVENT, .event = GPU_EVENT_XID, .xid = 79, .identity = {.minor = 3}};
    assert_true(is_record(&record));
}

static void sizes_must_fit(void **state)
{
    (void)state;
    struct gpu_record record = make_figures(), read;
    assert_false(gpu_record_read(&record, sizeof record - 1, &read));
    assert_false(gpu_record_read(&record, sizeof record + 1, &read));
    assert_false(gpu_record_read("", 0, &read));
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct gpu_record record = make_figures();
    record.kind = 3;
    assert_false(is_record(&record));
    record = make_figures();
    record.event = GPU_EVENT_XID; /* figures are no event */
    assert_false(is_record(&record));
    record = make_figures();
    record.known |= UINT64_C(1) << GPU_FIGURE_COUNT;
    assert_false(is_record(&record));
    record = make_figures();
    record.figures[GPU_FIGURE_TEMPERATURE] = 1; /* said and not known */
    assert_false(is_record(&record));
    record = (struct gpu_record){.kind = GPU_RECORD_EVENT, .event = GPU_EVENT_RESET + 1};
    assert_false(is_record(&record));
    record = (struct gpu_record){.kind = GPU_RECORD_EVENT};
    assert_false(is_record(&record));
}

static void names_are_text_and_end(void **state)
{
    (void)state;
    struct gpu_record record = make_figures();
    memset(record.identity.uuid, 'x', sizeof record.identity.uuid);
    assert_false(is_record(&record));
    record = make_figures();
    strcpy(record.identity.bus_id, "a\nb");
    assert_false(is_record(&record));
    record = make_figures();
    record.identity.uuid[0] = '\0';
    record.identity.minor = -1; /* nobody */
    assert_false(is_record(&record));
}

static void bus_ids_have_one_form(void **state)
{
    (void)state;
    char out[24];
    gpu_bus_id_copy("00000000:3B:00.0", out, sizeof out);
    assert_string_equal(out, "0000:3b:00.0");
    gpu_bus_id_copy("0000:AF:00.0", out, sizeof out);
    assert_string_equal(out, "0000:af:00.0");
    gpu_bus_id_copy("00010001:3B:00.0", out, sizeof out); /* a domain that needs its digits */
    assert_string_equal(out, "00010001:3b:00.0");
    gpu_bus_id_copy("", out, sizeof out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_records_are_taken), cmocka_unit_test(sizes_must_fit),
        cmocka_unit_test(nonsense_is_refused),     cmocka_unit_test(names_are_text_and_end),
        cmocka_unit_test(bus_ids_have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
