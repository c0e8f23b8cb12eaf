/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_text: what is read out of plain text, Markdown, HTML and PDF, under which encodings, and
 * what is refused.
 */
#include "workflows/ingest/document_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/utf8.h"
#include "tests/test.h"

/* What a document gave. */
static struct {
    struct buffer text;
    struct buffer headings; /* "offset:title|" */
    struct error err;
    int stop_at; /* the sink fails once the text has this many bytes; 0: never */
} got;

static int take_text(void *context, const char *text, size_t size, struct error *err)
{
    (void)context;
    assert_true(size > 0);
    assert_true(utf8_is_valid(text, size));
    buffer_append(&got.text, text, size);
    if (got.stop_at > 0 && got.text.size >= (size_t)got.stop_at)
        return error_set(err, ERR_CANCELED, "enough");
    return 0;
}

static int take_heading(void *context, uint64_t offset, const char *title, size_t size,
                        struct error *err)
{
    (void)context;
    (void)err;
    assert_true(offset >= got.text.size);
    buffer_printf(&got.headings, "%llu:%.*s|", (unsigned long long)offset, (int)size, title);
    return 0;
}

static int load(enum document_type type, const char *data, size_t size)
{
    buffer_clear(&got.text);
    buffer_clear(&got.headings);
    got.err = (struct error){0};
    int fd = memfd_create("document", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    int code = document_text_load(
        fd, type, &(struct document_sink){.text = take_text, .heading = take_heading}, &got.err);
    close(fd);
    return code;
}

static void expect(enum document_type type, const char *data, size_t size, const char *text)
{
    int code = load(type, data, size);
    if (code != 0)
        print_error("%s\n", got.err.text);
    assert_int_equal(code, 0);
    assert_string_equal(buffer_text(&got.text), text);
}

static void expect_html(const char *html, const char *text)
{
    expect(DOCUMENT_HTML, html, strlen(html), text);
}

static void plain_text_is_taken_as_it_is(void **state)
{
    (void)state;
    expect(DOCUMENT_PLAIN, "a\r\n b\t ä€😀", 16, "a\r\n b\t ä€😀");
    expect(DOCUMENT_PLAIN, "", 0, "");
    expect(DOCUMENT_PLAIN, "\xef\xbb\xbfmarked", 9, "marked");
    expect(DOCUMENT_PLAIN, "\xff\xfeh\0\xe4\0", 6, "hä");
    expect(DOCUMENT_PLAIN, "\xfe\xff\0h\xd8\x3d\xde\0", 8, "h😀");
}

static void what_is_not_text_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_int_equal(load(DOCUMENT_PLAIN, "abc\xe4z", 5), ERR_INVALID);
    assert_non_null(strstr(got.err.text, "byte 0xe4 at offset 3"));
    assert_int_equal(load(DOCUMENT_PLAIN, "a\0b", 3), ERR_INVALID);
    assert_int_equal(load(DOCUMENT_PLAIN, "abc\xe2\x82", 5), ERR_INVALID);
    assert_non_null(strstr(got.err.text, "offset 3"));
    assert_int_equal(load(DOCUMENT_PLAIN, "\xff\xfeh\0\0", 5), ERR_INVALID);
    /* Overlong, a surrogate. */
    assert_int_equal(load(DOCUMENT_PLAIN, "\xc0\x80", 2), ERR_INVALID);
    assert_int_equal(load(DOCUMENT_PLAIN, "\xed\xa0\x80", 3), ERR_INVALID);
}

static void characters_may_lie_across_reads(void **state)
{
    (void)state;
    size_t size = 300001;
    char *text = malloc(size + 1);
    assert_non_null(text);
    for (size_t i = 0; i + 3 <= size; i += 3)
        memcpy(text + 1 + i, "€", 3);
    text[0] = 'x';
    text[size] = '\0';
    expect(DOCUMENT_PLAIN, text, size, text);
    expect(DOCUMENT_MARKDOWN, text, size, text);
    free(text);
}

static void markdown_tells_its_headings(void **state)
{
    (void)state;
    const char *text = "# One\ntext\n```sh\n# comment\n```\n  ## Two ##\r\n#no\n####### seven\n"
                       "~~~\n# in\n```\n~~~~\n### Three # x";
    expect(DOCUMENT_MARKDOWN, text, strlen(text), text);
    assert_string_equal(buffer_text(&got.headings), "0:One|31:Two|80:Three # x|");

    /* A heading that lies across two reads is told before its text. */
    size_t size = 70000;
    char *long_text = malloc(size);
    assert_non_null(long_text);
    memset(long_text, 'x', size);
    memcpy(long_text + 65530, "\n# Across the border\n", 21);
    assert_int_equal(load(DOCUMENT_MARKDOWN, long_text, size), 0);
    assert_string_equal(buffer_text(&got.headings), "65531:Across the border|");
    free(long_text);
}

static void html_is_what_a_reader_sees(void **state)
{
    (void)state;
    expect_html("<p>one <b>two</b>three\n  four</p><p>five<br>six</p>",
                "one twothree four\n\nfive\nsix");
    expect_html("<script>var a = '<p>no</p>';</script>yes<style>p { }</style><!-- no -->", "yes");
    expect_html("<p>&lt;a&gt; &amp;amp; &eacute; &#8364; &#x1F600; &bogus;</p>",
                "<a> &amp; é € 😀 &bogus;");
    expect_html("<ul><li>a<li>b</ul><table><tr><td>1</td><td>2</td></tr><tr><td>3</table>",
                "a\nb\n\n1 2\n3");
    expect_html("<pre>a\n  b</pre>c", "a\n  b\n\nc");
    expect_html("<svg><text>no</text><g><script>no</script></g></svg>seen"
                "<template><p>no</p></template><noscript>no</noscript>",
                "seen");
    expect_html("", "");
    expect_html("no markup at all", "no markup at all");
    expect_html("<p>unclosed <i>tags <p>are closed", "unclosed tags\n\nare closed");
}

static void html_tells_its_headings(void **state)
{
    (void)state;
    expect_html("<html><head><title>Page</title></head><body><h1>First <em>part</em></h1>text"
                "<h2></h2><h3> Next </h3>more</body></html>",
                "Page\n\nFirst part\n\ntext\n\nNext\n\nmore");
    assert_string_equal(buffer_text(&got.headings), "0:Page|6:First part|24:Next|");
}

static void html_is_read_in_its_encoding(void **state)
{
    (void)state;
    expect_html("<meta charset=iso-8859-1><p>\xe4\x80", "ä€");
    expect_html("<meta http-equiv='Content-Type' content='text/html; charset=KOI8-R'>\xf0\xd2",
                "Пр");
    expect_html("<p>\xe4 and \x93quoted\x94", "ä and “quoted”"); /* windows-1252 by default */
    expect_html("<p>ä", "ä");                                    /* UTF-8 where it is */
    expect_html("<meta charset=utf-8><p>a\xff"
                "b",
                "a\xef\xbf\xbd"
                "b");
    expect(DOCUMENT_HTML, "\xff\xfe<\0p\0>\0\xac\x20", 10, "€");
    assert_int_equal(load(DOCUMENT_HTML, "<meta charset=klingon>", 22), ERR_UNSUPPORTED);
    assert_non_null(strstr(got.err.text, "klingon"));
}

static void html_is_bounded(void **state)
{
    (void)state;
    struct buffer html = {0};
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&html, "<div>");
    assert_int_equal(load(DOCUMENT_HTML, (const char *)html.data, html.size), ERR_RANGE);
    assert_non_null(strstr(got.err.text, "deeper than 512"));
    buffer_clear(&html);
    buffer_append_text(&html, "<p");
    for (int i = 0; i < 1000000; i++)
        buffer_printf(&html, " a%d", i);
    assert_int_equal(load(DOCUMENT_HTML, (const char *)html.data, html.size), ERR_RANGE);
    buffer_clear(&html);
    for (int i = 0; i < 20000; i++)
        buffer_append_text(&html, "<p>paragraph of words</p>");
    assert_int_equal(load(DOCUMENT_HTML, (const char *)html.data, html.size), 0);
    assert_int_equal(got.text.size, 20000 * 18 + 19999 * 2);
    buffer_fini(&html);
}

static void the_sink_may_end_it(void **state)
{
    (void)state;
    got.stop_at = 1;
    assert_int_equal(load(DOCUMENT_PLAIN, "text", 4), ERR_CANCELED);
    assert_int_equal(load(DOCUMENT_HTML, "<p>text", 7), ERR_CANCELED);
    got.stop_at = 0;
}

/* A PDF of one page that says so. */
static size_t pdf_write(char *out, size_t room, const char *words)
{
    char content[256];
    int length = snprintf(content, sizeof content, "BT /F1 12 Tf 72 720 Td (%s) Tj ET", words);
    const char *objects[] = {
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        NULL,
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    };
    int size = snprintf(out, room, "%%PDF-1.4\n");
    int offsets[5];
    for (int i = 0; i < 5; i++) {
        offsets[i] = size;
        if (objects[i] != NULL)
            size += snprintf(out + size, room - (size_t)size, "%d 0 obj\n%s\nendobj\n", i + 1,
                             objects[i]);
        else
            size += snprintf(out + size, room - (size_t)size,
                             "%d 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", i + 1,
                             length, content);
    }
    int xref = size;
    size += snprintf(out + size, room - (size_t)size, "xref\n0 6\n0000000000 65535 f \n");
    for (int i = 0; i < 5; i++)
        size += snprintf(out + size, room - (size_t)size, "%010d 00000 n \n", offsets[i]);
    size += snprintf(out + size, room - (size_t)size,
                     "trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", xref);
    return (size_t)size;
}

static bool has_pdftotext(void)
{
    return system("command -v pdftotext >/dev/null") == 0;
}

static void pdf_text_comes_from_poppler(void **state)
{
    (void)state;
    if (!has_pdftotext())
        skip();
    char pdf[2048];
    size_t size = pdf_write(pdf, sizeof pdf, "Words in a page");
    assert_int_equal(load(DOCUMENT_PDF, pdf, size), 0);
    assert_non_null(strstr(buffer_text(&got.text), "Words in a page"));
    assert_int_equal(load(DOCUMENT_PDF, "%PDF-1.4 nothing of the kind", 28), ERR_INVALID);
    assert_non_null(strstr(got.err.text, "the PDF cannot be read"));
}

static void without_poppler_its_package_is_named(void **state)
{
    (void)state;
    char *path = strdup(getenv("PATH"));
    assert_non_null(path);
    setenv("PATH", "/nonexistent", 1);
    int code = load(DOCUMENT_PDF, "%PDF-1.4", 8);
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(code, ERR_UNSUPPORTED);
    assert_non_null(strstr(got.err.text, "poppler-utils"));
}

static void expect_type(const char *type, const char *name, const char *head, size_t size,
                        const char *wanted)
{
    enum document_type found;
    assert_int_equal(document_type_find(type, name, head, size, &found, NULL), 0);
    assert_string_equal(document_type_name(found), wanted);
}

static void types_are_told_by_request_content_and_name(void **state)
{
    (void)state;
    expect_type("text/markdown", "a.html", "<html>", 6, "text/markdown");
    expect_type("PDF", NULL, "", 0, "application/pdf");
    expect_type(NULL, "a.txt", "%PDF-1.7", 8, "application/pdf");
    expect_type(NULL, "a", "\n <!DOCTYPE html>", 17, "text/html");
    expect_type(NULL, "dir.d/a.HTM", "x", 1, "text/html");
    expect_type(NULL, "a.md", "<html", 5, "text/html");
    expect_type(NULL, "a.md", "text", 4, "text/markdown");
    expect_type(NULL, "notes.rst", "text", 4, "text/plain");
    expect_type(NULL, NULL, "\xff\xfex\0", 4, "text/plain");
    enum document_type found;
    struct error err;
    assert_int_equal(document_type_find(NULL, "a.docx", "PK\3\4\0\0", 6, &found, &err),
                     ERR_UNSUPPORTED);
    assert_int_equal(document_type_find("image/png", "a.txt", "a", 1, &found, &err),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "image/png"));
}

static int teardown(void **state)
{
    (void)state;
    buffer_fini(&got.text);
    buffer_fini(&got.headings);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_taken_as_it_is),
        cmocka_unit_test(what_is_not_text_is_refused_with_its_place),
        cmocka_unit_test(characters_may_lie_across_reads),
        cmocka_unit_test(markdown_tells_its_headings),
        cmocka_unit_test(html_is_what_a_reader_sees),
        cmocka_unit_test(html_tells_its_headings),
        cmocka_unit_test(html_is_read_in_its_encoding),
        cmocka_unit_test(html_is_bounded),
        cmocka_unit_test(the_sink_may_end_it),
        cmocka_unit_test(pdf_text_comes_from_poppler),
        cmocka_unit_test(without_poppler_its_package_is_named),
        cmocka_unit_test(types_are_told_by_request_content_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
