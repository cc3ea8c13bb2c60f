// A unique id as hexadecimal digits: how launchers carry it. Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "comm/rendezvous.h"

namespace tutti {

std::string id_to_hex(const RendezvousId& id);
// Errors: kInvalidUsage (not 256 digits), decode_id's.
Result<RendezvousId> id_from_hex(std::string_view text);

}  // namespace tutti
