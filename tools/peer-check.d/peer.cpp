// Runs one driver of Battery-Emulator at the wall clock's pace, with its bus on standard input and output.
//   -DPEER_HEADER='"inverter/PYLON-CAN.h"' -DPEER_CLASS=PylonInverter
//
// In:   00004200#0200000000000000   a frame; 8 digits of ID = 29-bit, as candump writes it
//       set NAME NUMBER             a value of the datalayer or a switch, by the names below
// Out:  frames as above, and once a second a line `= NAME NUMBER NAME NUMBER …` with all values
// It ends where its input ends.
#include "peer.h"
#include PEER_HEADER
#include <chrono>
#include <poll.h>
#include <unistd.h>

DataLayer datalayer;

unsigned long millis() {
  static const auto start = std::chrono::steady_clock::now();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
}

void transmit_can_frame(const CAN_frame* frame) {
  printf(frame->ext_ID ? "%08X#" : "%03X#", frame->ID);
  for (int i = 0; i < frame->DLC && i < 8; i++) printf("%02X", frame->data.u8[i]);
  printf("\n");
}

// Every value that can be set and is shown.
template <class F> static void values(F each) {
  auto& info = datalayer.battery.info;
  auto& status = datalayer.battery.status;
  each("total_capacity_Wh", info.total_capacity_Wh);
  each("reported_total_capacity_Wh", info.reported_total_capacity_Wh);
  each("max_design_voltage_dV", info.max_design_voltage_dV);
  each("min_design_voltage_dV", info.min_design_voltage_dV);
  each("max_cell_voltage_mV", info.max_cell_voltage_mV);
  each("min_cell_voltage_mV", info.min_cell_voltage_mV);
  each("number_of_cells", info.number_of_cells);
  each("remaining_capacity_Wh", status.remaining_capacity_Wh);
  each("reported_remaining_capacity_Wh", status.reported_remaining_capacity_Wh);
  each("max_discharge_power_W", status.max_discharge_power_W);
  each("max_charge_power_W", status.max_charge_power_W);
  each("max_discharge_current_dA", status.max_discharge_current_dA);
  each("max_charge_current_dA", status.max_charge_current_dA);
  each("temperature_max_dC", status.temperature_max_dC);
  each("temperature_min_dC", status.temperature_min_dC);
  each("current_dA", status.current_dA);
  each("reported_current_dA", status.reported_current_dA);
  each("soh_pptt", status.soh_pptt);
  each("voltage_dV", status.voltage_dV);
  each("cell_max_voltage_mV", status.cell_max_voltage_mV);
  each("cell_min_voltage_mV", status.cell_min_voltage_mV);
  each("real_soc", status.real_soc);
  each("reported_soc", status.reported_soc);
  each("bms_status", status.bms_status);
  each("system_status", datalayer.system.status.system_status);
  each("battery_alive", status.CAN_battery_still_alive);
  each("inverter_alive", datalayer.system.status.CAN_inverter_still_alive);
  each("sofar_battery_id", datalayer.battery.settings.sofar_user_specified_battery_id);
  each("pylon_send", user_selected_pylon_send);
  each("pylon_30koffset", user_selected_pylon_30koffset);
  each("pylon_invert_byteorder", user_selected_pylon_invert_byteorder);
  each("pylon_type", user_selected_inverter_pylon_type);
  each("deye_workaround", user_selected_inverter_deye_workaround);
  each("cells", user_selected_inverter_cells);
  each("modules", user_selected_inverter_modules);
  each("cells_per_module", user_selected_inverter_cells_per_module);
  each("voltage_level", user_selected_inverter_voltage_level);
  each("ah_capacity", user_selected_inverter_ah_capacity);
}

static bool set(const std::string& name, long value) {
  bool found = false;
  values([&](const char* known, auto& place) {
    if (name == known) {
      place = static_cast<std::remove_reference_t<decltype(place)>>(value);
      found = true;
    }
  });
  return found;
}

static PEER_CLASS* peer;

static void line(const std::string& text) {
  char name[64];
  long value;
  if (sscanf(text.c_str(), "set %63s %ld", name, &value) == 2) {
    if (!set(name, value)) fprintf(stderr, "no value is called %s\n", name);
  } else if (text == "start") {
    // What is set before is what the user saved before it was switched on.
    peer = new PEER_CLASS();
    peer->setup();
    // Until its values are first taken over, up to a second, its frames hold bytes of somebody else's battery: that second is left out.
    peer->update_values();
  } else if (auto hash = text.find('#'); peer && hash != std::string::npos) {
    CAN_frame frame = {};
    frame.ext_ID = hash == 8;
    frame.ID = strtoul(text.substr(0, hash).c_str(), nullptr, 16);
    for (size_t i = hash + 1; i + 1 < text.size() && frame.DLC < 8; i += 2)
      frame.data.u8[frame.DLC++] = strtoul(text.substr(i, 2).c_str(), nullptr, 16);
    peer->receive(frame);
  }
}

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  std::string pending;
  unsigned long second = 0;
  for (;;) {
    pollfd input = {0, POLLIN, 0};
    poll(&input, 1, 5);
    if (input.revents) {
      char bytes[4096];
      ssize_t count = read(0, bytes, sizeof bytes);
      if (count <= 0) return 0;
      pending.append(bytes, count);
      for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) line(pending.substr(0, end));
    }
    if (!peer) continue;
    const unsigned long now = millis();
    if (now - second >= 1000) {
      second = now;
      auto& battery = datalayer.battery.status.CAN_battery_still_alive;
      auto& inverter = datalayer.system.status.CAN_inverter_still_alive;
      if (battery) battery--;
      if (inverter) inverter--;
      peer->update_values();
      printf("=");
      values([](const char* name, auto& place) { printf(" %s %lld", name, static_cast<long long>(place)); });
      printf("\n");
    }
    peer->transmit_can(now);
  }
}
