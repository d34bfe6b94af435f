// What the drivers of Battery-Emulator need to run on a host: stand-ins of our own for Arduino, its "datalayer" and the classes that its
// drivers descend from. Every header of theirs that a driver includes becomes an include of this one (tools/peer-check), so that the
// driver's own two files are the only ones of theirs that are compiled: they are what is tried, and the rest changes from week to week.
// Names, types and units are theirs: dV = 0.1 V, dA = 0.1 A, dC = 0.1 °C, pptt = 0.01 %.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using std::max;
using std::min;

// Their drivers say `override` of functions that the stand-ins below may not have.
#define override

unsigned long millis();

constexpr unsigned long INTERVAL_10_MS = 10, INTERVAL_20_MS = 20, INTERVAL_50_MS = 50, INTERVAL_100_MS = 100, INTERVAL_200_MS = 200,
                        INTERVAL_500_MS = 500, INTERVAL_1_S = 1000, INTERVAL_2_S = 2000, INTERVAL_5_S = 5000, INTERVAL_10_S = 10000,
                        INTERVAL_30_S = 30000, INTERVAL_60_S = 60000;
// Seconds until silence counts: counted down each second, set anew by what is heard.
constexpr uint8_t CAN_STILL_ALIVE = 60;
constexpr int MAX_AMOUNT_CELLS = 200;

// The state is called bms_status until 2025, system_status since: the same five.
enum system_status_enum { STANDBY, INACTIVE, DARKSTART, ACTIVE, FAULT, UPDATING };
enum class battery_chemistry_enum { NCA, NMC, LFP };
enum CAN_Interface { CAN_NATIVE };
enum class CAN_Speed { CAN_SPEED_250KBPS = 250, CAN_SPEED_500KBPS = 500 };

struct CAN_frame {
  bool FD;
  bool ext_ID;
  uint8_t DLC;
  uint32_t ID;
  union Data {
    uint8_t u8[64];
    uint32_t u32[2];
    uint64_t u64;
  } data;
};

struct DATALAYER_BATTERY_INFO_TYPE {
  uint32_t total_capacity_Wh = 30000, reported_total_capacity_Wh = 30000;
  uint16_t max_design_voltage_dV = 5000, min_design_voltage_dV = 2500;
  uint16_t max_cell_voltage_mV = 4300, min_cell_voltage_mV = 2700, max_cell_voltage_deviation_mV = 500;
  uint8_t number_of_cells = 0;
  battery_chemistry_enum chemistry = battery_chemistry_enum::LFP;
};
struct DATALAYER_BATTERY_STATUS_TYPE {
  int32_t active_power_W = 0;
  uint32_t remaining_capacity_Wh = 0, reported_remaining_capacity_Wh = 0;
  uint32_t max_discharge_power_W = 0, max_charge_power_W = 0;
  uint16_t max_discharge_current_dA = 0, max_charge_current_dA = 0;
  int16_t temperature_max_dC = 0, temperature_min_dC = 0, current_dA = 0, reported_current_dA = 0;
  uint16_t soh_pptt = 9900, voltage_dV = 3700, cell_max_voltage_mV = 3700, cell_min_voltage_mV = 3700;
  uint16_t cell_voltages_mV[MAX_AMOUNT_CELLS] = {};
  bool cell_balancing_status[MAX_AMOUNT_CELLS] = {};
  uint16_t real_soc = 0, reported_soc = 0, CAN_error_counter = 0;
  uint8_t CAN_battery_still_alive = CAN_STILL_ALIVE;
  system_status_enum bms_status = ACTIVE;
};
struct DATALAYER_BATTERY_SETTINGS_TYPE {
  bool user_set_voltage_limits_active = false;
  uint16_t max_user_set_charge_voltage_dV = 0, max_user_set_discharge_voltage_dV = 0;
  uint8_t sofar_user_specified_battery_id = 0;
};
struct DATALAYER_BATTERY_TYPE {
  DATALAYER_BATTERY_INFO_TYPE info;
  DATALAYER_BATTERY_STATUS_TYPE status;
  DATALAYER_BATTERY_SETTINGS_TYPE settings;
};
struct DATALAYER_SHUNT_TYPE {
  uint16_t measured_voltage_dV = 0, measured_amperage_dA = 0;
  uint32_t measured_voltage_mV = 0, measured_outvoltage_mV = 0;
  int32_t measured_amperage_mA = 0;
  bool precharging = false, contactors_engaged = false, available = false;
};
struct DATALAYER_SYSTEM_TYPE {
  struct {
    char battery_protocol[64] = {}, inverter_protocol[64] = {}, shunt_protocol[64] = {}, inverter_brand[8] = {};
  } info;
  struct {
    uint8_t CAN_inverter_still_alive = CAN_STILL_ALIVE;
    bool battery_allows_contactor_closing = false, inverter_allows_contactor_closing = true, contactors_engaged = false;
    system_status_enum system_status = ACTIVE;
  } status;
};
struct DataLayer {
  DATALAYER_BATTERY_TYPE battery, battery2;
  DATALAYER_SHUNT_TYPE shunt;
  DATALAYER_SYSTEM_TYPE system;
};
extern DataLayer datalayer;

// What a user chooses on its settings page.
inline uint16_t user_selected_max_pack_voltage_dV = 5000, user_selected_min_pack_voltage_dV = 1500, user_selected_max_cell_voltage_mV = 3650,
                user_selected_min_cell_voltage_mV = 2500, user_selected_pylon_baudrate = 500, user_selected_pylon_send = 0,
                user_selected_inverter_cells = 0, user_selected_inverter_modules = 0, user_selected_inverter_cells_per_module = 0,
                user_selected_inverter_voltage_level = 0, user_selected_inverter_ah_capacity = 0, user_selected_inverter_battery_type = 0,
                user_selected_inverter_pylon_type = 0;
inline bool user_selected_pylon_30koffset = false, user_selected_pylon_invert_byteorder = false,
            user_selected_inverter_deye_workaround = false, user_selected_inverter_long_CAN_timeout = false;
inline struct {
  CAN_Interface battery = CAN_NATIVE, inverter = CAN_NATIVE;
} can_config;

void transmit_can_frame(const CAN_frame* frame);
inline void transmit_can_frame(const CAN_frame* frame, CAN_Interface) { transmit_can_frame(frame); }

// Neither pages nor the list of events are tried: what a driver prepares for one goes nowhere.
template <class... Any> void set_event(Any...) {}
template <class... Any> void clear_event(Any...) {}
struct BatteryHtmlRenderer {};
struct PylonExtendedData {
  uint16_t charge_cutoff_dV = 0, discharge_cutoff_dV = 0, cell_max_number = 0, cell_min_number = 0, temp_max_sensor = 0, temp_min_sensor = 0;
};
struct PylonHtmlRenderer : BatteryHtmlRenderer {
  template <class... Any> PylonHtmlRenderer(Any...) {}
};

// A "battery" of theirs plays the inverter's end of a link: it asks a battery.
struct CanBattery {
  CanBattery() {}
  CanBattery(CAN_Speed) {}
  CanBattery(CAN_Interface, CAN_Speed = CAN_Speed::CAN_SPEED_500KBPS) {}
  virtual ~CanBattery() {}
  virtual void setup() {}
  virtual void update_values() {}
  virtual void handle_incoming_can_frame(CAN_frame) {}
  virtual void transmit_can(unsigned long) {}
  void receive(CAN_frame frame) { handle_incoming_can_frame(frame); }
};
// An "inverter" of theirs plays the battery's end: it answers one.
struct CanInverterProtocol {
  virtual ~CanInverterProtocol() {}
  virtual const char* name() { return ""; }
  virtual bool setup() { return true; }
  virtual void update_values() {}
  virtual void map_can_frame_to_variable(CAN_frame) {}
  virtual void transmit_can(unsigned long) {}
  void receive(CAN_frame frame) { map_can_frame_to_variable(frame); }
};
