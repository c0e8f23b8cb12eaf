/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_file: see scratch_file.h. A file that was unlinked still has a name in /proc. */
#include "workflows/scratch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

int scratch_file_open(const struct fleet_config *config, FILE **ret_file, struct error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/scratch.XXXXXX", config->data_dir) >= (int)sizeof path)
        return error_set(err, ERR_IO, "the path of the data folder is too long");
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not create %s", path);
    unlink(path);
    FILE *file = fdopen(fd, "w");
    if (file == NULL) {
        close(fd);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    *ret_file = file;
    return 0;
}

int scratch_file_put(FILE *file, struct storage_client *storage,
                     const struct argosy_activity *activity, struct artifact *ret_artifact,
                     struct error *err)
{
    if (fflush(file) != 0 || ferror(file))
        return error_set_errno(err, ERR_IO, errno, "could not write to the data folder");
    char path[64], owner[ARTIFACT_OWNER_MAX + 1];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    const char *workflow_id = argosy_activity_info(activity)->workflow_id;
    if (snprintf(owner, sizeof owner, "workflow:%s", workflow_id) >= (int)sizeof owner)
        return error_set(err, ERR_INVALID, "the workflow id is too long to own an artifact");
    return artifact_put_file(storage, path, owner, NULL, NULL, ret_artifact, err);
}
