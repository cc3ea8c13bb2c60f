// Which sanitizer a test runs under, for the few that one cannot follow.
#pragma once

#if defined(__has_feature)
#define TUTTI_HAS_FEATURE(name) __has_feature(name)
#else
#define TUTTI_HAS_FEATURE(name) 0
#endif

namespace tutti {

#if defined(__SANITIZE_THREAD__) || TUTTI_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kUnderThreadSanitizer = true;
#else
inline constexpr bool kUnderThreadSanitizer = false;
#endif

#if defined(__SANITIZE_ADDRESS__) || TUTTI_HAS_FEATURE(address_sanitizer)
inline constexpr bool kUnderAddressSanitizer = true;
#else
inline constexpr bool kUnderAddressSanitizer = false;
#endif

// What is proved by the release build, at length, is only gone through here: pure functions, five to ten times as slow.
inline constexpr bool kUnderSanitizer = kUnderThreadSanitizer || kUnderAddressSanitizer;

}  // namespace tutti
