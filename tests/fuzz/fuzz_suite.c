/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_suite: any bytes as a suite: they are read to the end, what is wrong is told, and what is
 * fit holds together: ids, labels, documents and texts are those that the cases name.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/assert.h"
#include "workflows/evaluation/report.h"
#include "workflows/evaluation/suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_text(void *arg, const char *text, size_t size, struct error *err)
{
    (void)err;
    ASSERT(size > 0 && text[size] == '\0');
    ++*(uint32_t *)arg;
    return 0;
}

static void check_case(const struct suite *suite, const struct suite_case *one)
{
    ASSERT(one->line > 1 && one->text < suite->text_count && strlen(one->id) > 0);
    ASSERT(suite->type != SUITE_CLASSIFICATION || one->label < suite->label_count);
    ASSERT(suite->type != SUITE_SIMILARITY || one->text + 1 < suite->text_count);
    ASSERT(suite->type != SUITE_RETRIEVAL || one->relevant_count > 0);
    for (uint32_t i = 0; i < one->relevant_count; i++) {
        const struct suite_relevant *relevant = &suite->relevants[one->relevant_first + i];
        ASSERT(relevant->document < suite->document_count);
        ASSERT(relevant->grade >= 1 && relevant->grade <= SUITE_GRADE_MAX);
    }
}

static void check_suite(const struct suite *suite)
{
    char digest[REPORT_DIGEST_SIZE];
    ASSERT(suite->case_count >= SUITE_CASES_MIN && suite->metrics.count > 0);
    for (size_t i = 0; i < suite->case_count; i++)
        check_case(suite, &suite->cases[i]);
    for (uint32_t i = 1; i < suite->label_count; i++)
        ASSERT(strcmp(suite->labels[i - 1], suite->labels[i]) < 0);
    for (size_t i = 0; i < suite->document_count; i++)
        ASSERT(suite->documents[i].text < suite->text_count);
    ASSERT(suite_digest(suite, "sha256:texts", digest, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer text = {0};
    struct suite *suite;
    uint32_t texts = 0;
    int fd = memfd_create("suite", MFD_CLOEXEC);
    ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    ASSERT(suite_read(fd, count_text, &texts, &suite, NULL) == 0);
    ASSERT(texts == suite->text_count);
    if (suite->error_count == 0)
        check_suite(suite);
    suite_report_text(suite, "suite.jsonl", &text);
    ASSERT((suite->error_count > 0) == (text.size > 0));
    json_t *json = suite_report_json(suite);
    ASSERT(json_array_size(json_object_get(json, "problems")) == suite->problem_count);
    json_decref(json);
    buffer_fini(&text);
    suite_destroy(suite);
    close(fd);
    return 0;
}
