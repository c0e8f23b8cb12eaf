/* SPDX-License-Identifier: Apache-2.0 */
/*
 * corpus_main: runs a fuzz target over its stored corpus, for compilers without libFuzzer.
 *
 * Every argument is a file or a folder of files; each file is handed to LLVMFuzzerTestOneInput
 * once. A crash fails the test; a missing folder is an error, so that a corpus cannot get lost.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    struct stat st;
    uint8_t *data = NULL;
    int result = -1;
    if (fstat(fileno(file), &st) == 0) {
        size_t size = (size_t)st.st_size;
        data = malloc(size + 1);
        if (data != NULL && fread(data, 1, size, file) == size) {
            LLVMFuzzerTestOneInput(data, size);
            result = 0;
        }
    }
    free(data);
    fclose(file);
    return result;
}

static int run_folder(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        perror(path);
        return -1;
    }
    int result = 0;
    int files = 0;
    for (int i = 0; i < count; i++) {
        char name[4096];
        struct stat st;
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode)) {
            files++;
            if (run_file(name) != 0)
                result = -1;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%s: %d inputs\n", path, files);
    return result;
}

int main(int argc, char **argv)
{
    int result = argc > 1 ? 0 : -1;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            return 1;
        }
        if ((S_ISDIR(st.st_mode) ? run_folder(argv[i]) : run_file(argv[i])) != 0)
            result = -1;
    }
    return result == 0 ? 0 : 1;
}
