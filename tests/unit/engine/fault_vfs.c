/* SPDX-License-Identifier: Apache-2.0 */
/* fault_vfs: see fault_vfs.h. A shim over SQLite's default file layer. */
#include "tests/unit/engine/fault_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

#include "common/assert.h"

struct fault_file {
    sqlite3_file base;
    sqlite3_file *inner; /* in the memory behind this struct */
};

static sqlite3_vfs *inner_vfs;
static sqlite3_vfs vfs;
static sqlite3_io_methods methods;
static atomic_int kind, operations_left;
static atomic_bool has_failed;

static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hold_changed = PTHREAD_COND_INITIALIZER;
static bool is_holding;
static int held_count;

static sqlite3_file *inner_of(sqlite3_file *file)
{
    return ((struct fault_file *)file)->inner;
}

/* Whether this operation fails. */
static bool fails(bool is_write)
{
    int armed = atomic_load(&kind);
    if (armed == FAULT_NONE || (armed == FAULT_FULL && !is_write))
        return false;
    int left = atomic_fetch_sub(&operations_left, 1);
    if (left > 1 || (armed == FAULT_ONCE && left < 1))
        return false;
    atomic_store(&has_failed, true);
    return true;
}

static int fault_close(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xClose(inner_of(file));
}

static int fault_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    return inner_of(file)->pMethods->xRead(inner_of(file), data, size, offset);
}

static int fault_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    if (!fails(true))
        return inner_of(file)->pMethods->xWrite(inner_of(file), data, size, offset);
    if (atomic_load(&kind) == FAULT_TORN)
        inner_of(file)->pMethods->xWrite(inner_of(file), data, size / 2, offset);
    return atomic_load(&kind) == FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return fails(false) ? SQLITE_IOERR_TRUNCATE
                        : inner_of(file)->pMethods->xTruncate(inner_of(file), size);
}

static void hold_if_asked(void)
{
    pthread_mutex_lock(&hold_lock);
    held_count++;
    pthread_cond_broadcast(&hold_changed);
    while (is_holding)
        pthread_cond_wait(&hold_changed, &hold_lock);
    held_count--;
    pthread_mutex_unlock(&hold_lock);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    hold_if_asked();
    return fails(false) ? SQLITE_IOERR_FSYNC
                        : inner_of(file)->pMethods->xSync(inner_of(file), flags);
}

static int fault_file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    return inner_of(file)->pMethods->xFileSize(inner_of(file), ret_size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return inner_of(file)->pMethods->xLock(inner_of(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return inner_of(file)->pMethods->xUnlock(inner_of(file), level);
}

static int fault_check_reserved_lock(sqlite3_file *file, int *ret_locked)
{
    return inner_of(file)->pMethods->xCheckReservedLock(inner_of(file), ret_locked);
}

static int fault_file_control(sqlite3_file *file, int op, void *arg)
{
    return inner_of(file)->pMethods->xFileControl(inner_of(file), op, arg);
}

static int fault_sector_size(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xSectorSize(inner_of(file));
}

static int fault_device_characteristics(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xDeviceCharacteristics(inner_of(file));
}

static int fault_shm_map(sqlite3_file *file, int page, int size, int extend,
                         void volatile **ret_map)
{
    return inner_of(file)->pMethods->xShmMap(inner_of(file), page, size, extend, ret_map);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return inner_of(file)->pMethods->xShmLock(inner_of(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    inner_of(file)->pMethods->xShmBarrier(inner_of(file));
}

static int fault_shm_unmap(sqlite3_file *file, int delete)
{
    return inner_of(file)->pMethods->xShmUnmap(inner_of(file), delete);
}

static int fault_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    (void)self;
    struct fault_file *fault = (struct fault_file *)file;
    fault->inner = (sqlite3_file *)(fault + 1);
    int status = inner_vfs->xOpen(inner_vfs, name, fault->inner, flags, ret_flags);
    fault->base.pMethods = status == SQLITE_OK ? &methods : NULL;
    return status;
}

static int fault_delete(sqlite3_vfs *self, const char *name, int sync)
{
    (void)self;
    return fails(false) ? SQLITE_IOERR_DELETE : inner_vfs->xDelete(inner_vfs, name, sync);
}

void fault_vfs_install(void)
{
    inner_vfs = sqlite3_vfs_find(NULL);
    vfs = *inner_vfs;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct fault_file) + inner_vfs->szOsFile;
    vfs.xOpen = fault_open;
    vfs.xDelete = fault_delete;
    methods = (sqlite3_io_methods){.iVersion = 2,
                                   .xClose = fault_close,
                                   .xRead = fault_read,
                                   .xWrite = fault_write,
                                   .xTruncate = fault_truncate,
                                   .xSync = fault_sync,
                                   .xFileSize = fault_file_size,
                                   .xLock = fault_lock,
                                   .xUnlock = fault_unlock,
                                   .xCheckReservedLock = fault_check_reserved_lock,
                                   .xFileControl = fault_file_control,
                                   .xSectorSize = fault_sector_size,
                                   .xDeviceCharacteristics = fault_device_characteristics,
                                   .xShmMap = fault_shm_map,
                                   .xShmLock = fault_shm_lock,
                                   .xShmBarrier = fault_shm_barrier,
                                   .xShmUnmap = fault_shm_unmap};
    int status = sqlite3_vfs_register(&vfs, 1);
    ASSERT(status == SQLITE_OK);
}

void fault_vfs_arm(enum fault_kind armed, int operation)
{
    atomic_store(&kind, FAULT_NONE);
    atomic_store(&operations_left, operation);
    atomic_store(&has_failed, false);
    atomic_store(&kind, armed);
}

bool fault_vfs_has_failed(void)
{
    return atomic_load(&has_failed);
}

void fault_vfs_hold(void)
{
    pthread_mutex_lock(&hold_lock);
    is_holding = true;
    pthread_mutex_unlock(&hold_lock);
}

void fault_vfs_wait_held(void)
{
    pthread_mutex_lock(&hold_lock);
    while (held_count == 0)
        pthread_cond_wait(&hold_changed, &hold_lock);
    pthread_mutex_unlock(&hold_lock);
}

void fault_vfs_release(void)
{
    pthread_mutex_lock(&hold_lock);
    is_holding = false;
    pthread_cond_broadcast(&hold_changed);
    pthread_mutex_unlock(&hold_lock);
}
