// libcurl, and functions with fixed arguments for those of its functions that Swift cannot call.
#ifndef MILLRACE_CCURL_H
#define MILLRACE_CCURL_H

// The checks of the argument's type are macros for constant options.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

typedef size_t (*ccurl_data_callback)(char *data, size_t size, size_t count, void *context);

static inline CURLcode ccurl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_text(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_callback(CURL *handle, CURLoption option, ccurl_data_callback value) {
    return curl_easy_setopt(handle, option, value);
}

// The error number of the operating system for the last connection that failed.
static inline long ccurl_os_error(CURL *handle) {
    long number = 0;
    curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &number);
    return number;
}

// The end of a transfer, or of the multi handle, does not wait for a thread that resolves a name.
static inline void ccurl_multi_quick_exit(CURLM *multi) {
#if LIBCURL_VERSION_NUM >= 0x081400
    curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);
#else
    (void)multi;
#endif
}

#endif
